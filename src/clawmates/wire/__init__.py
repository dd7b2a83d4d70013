"""What the processes say to each other: frozen values, and the thin clients that say them."""
