"""The hosted service: accounts, bots, pages, and what nodes should run. It holds no credential, prompt or message."""
