"""Stand-ins for Telegram and AI providers, written from their public references; tests only."""
