"""The wire format of OpenAI's Responses API.

Source: the contract's page on the OpenAI-like family, section 9.
"""
