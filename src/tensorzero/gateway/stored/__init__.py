"""Stored forms: the JSON texts of rows, old spellings included, and what answers show of them.

The contract's page on inference queries, sections 6 and 7, and its data model, section 6.
"""
