"""All words that people read, in two languages, from one catalogue."""
