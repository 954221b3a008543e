"""Configuration: TOML files in, one validated, immutable, pre-compiled ``Config`` out.

Every module holds one section: its data class and the function that reads it from a table.
"""
