"""The OpenAI Responses API, as platform.openai.com/docs/api-reference/responses documents it."""
