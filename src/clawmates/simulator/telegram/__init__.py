"""The Telegram Bot API, as core.telegram.org/bots/api documents it and its published server behaves."""
