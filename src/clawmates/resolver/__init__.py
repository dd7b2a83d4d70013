"""The resolver: gateway's helper that asks one DNS-over-TLS server, because the gateway never opens TLS."""
