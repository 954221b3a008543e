"""The domain's nouns: inputs, content blocks, tools, model requests and responses, errors.

Nothing here reads a config, opens a socket or a file.
"""
