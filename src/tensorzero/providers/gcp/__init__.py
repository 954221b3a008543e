"""What the provider types of GCP Vertex AI share: tokens, and where requests go.

Source: the contract's page on Google, sections 1 and 7.
"""
