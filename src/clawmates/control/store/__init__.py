"""The database: one engine, one base class, times in UTC, and the way from one schema to the next."""
