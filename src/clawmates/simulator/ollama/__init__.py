"""Ollama, as docs.ollama.com/api documents it."""
