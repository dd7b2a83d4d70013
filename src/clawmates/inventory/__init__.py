"""What is kept: one declaration, from which pages, jobs, exports and tests are made."""
