"""HTTP/1.1 over asyncio streams, on h11: small enough for a mate, the same for everyone."""
