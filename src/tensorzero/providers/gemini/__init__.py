"""Gemini's ``generateContent``, shared by Google AI Studio and Vertex AI.

Source: the contract's page on Google, sections 2 to 6 and 8.
"""
