"""What is over is taken away: jobs made from the inventory, each one replica's at a time, with counts."""
