"""The Chat Completions wire format, shared by the OpenAI-like providers.

Source: the contract's page on the OpenAI-like family, sections 6 and 7.
"""
