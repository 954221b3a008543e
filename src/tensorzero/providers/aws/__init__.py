"""What the providers on AWS share: signatures, credentials, regions, binary event streams.

Source: the contract's page on Anthropic and Bedrock, section 5.
"""
