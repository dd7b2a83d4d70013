"""Setting a platform up on one host, and keeping its processes running."""
