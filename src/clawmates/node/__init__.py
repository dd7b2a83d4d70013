"""The node: keeps the containers running that should run, and nothing weaker than asked."""
