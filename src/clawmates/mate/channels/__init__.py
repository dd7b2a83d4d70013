"""Where a person talks to the bot: one contract, an implementation a messenger."""
