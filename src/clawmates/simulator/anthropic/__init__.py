"""The Anthropic Messages API, as platform.claude.com/docs/en/api/messages documents it."""
