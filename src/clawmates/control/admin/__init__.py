"""What an operator of the host may ask: counts, ids and states, and each question is written down."""
