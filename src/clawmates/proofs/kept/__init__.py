"""What a platform keeps, read by a hand of the proofs' own: schemas, files, log lines and the pages that list them."""
