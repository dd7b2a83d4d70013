"""Control's own audit chain."""
