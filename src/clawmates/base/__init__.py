"""Plain helpers that every process may use; they know nothing of the platform."""
