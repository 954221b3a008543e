"""Queries over recorded inferences, and the parts that other queries share.

The contract's page on inference queries, sections 2 to 5. Everything runs on embedded and remote
ClickHouse alike; every value is a bound parameter.
"""
