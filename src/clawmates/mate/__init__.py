"""The mate: one bot's assistant, alone in its container; talks to one channel and one AI provider."""
