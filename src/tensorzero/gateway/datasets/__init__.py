"""Datasets and their datapoints: the contract's page on inference queries and datasets.

A datapoint is never changed in place: each change is a new version of its row, and the newest
version counts.
"""
