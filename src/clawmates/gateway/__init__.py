"""The gateway: the mate's only door; relays TLS it cannot open."""
