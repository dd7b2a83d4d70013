"""A server of HTTP/1.1 over TLS 1.3 for the processes that others call: uvicorn with bounds, and silent."""
