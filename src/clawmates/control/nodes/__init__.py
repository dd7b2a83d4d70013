"""Nodes: which there are, what each should run, and what each says of it."""
