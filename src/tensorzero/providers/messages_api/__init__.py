"""Anthropic's Messages API, as its own hosts and GCP Vertex AI speak it.

Source: the contract's page on Anthropic and Bedrock, sections 2 and 3.
"""
