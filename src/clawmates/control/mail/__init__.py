"""E-mail: what is written in it, and the way out."""
