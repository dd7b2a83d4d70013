"""One module a claim: what is done, and what would break it."""
