"""The Gemini API, as ai.google.dev/api/generate-content documents it."""
