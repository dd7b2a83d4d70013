"""What still has to be done elsewhere, kept in the transaction that wanted it."""
