"""The face of OpenAI's clients: `/openai/v1`, mapped onto the same use cases as `/inference`."""
