"""What a platform says and hears on networks, read from the bytes themselves."""
