"""Control's part of a backup: rows about nobody, and each account's sealed to a key of that account's own (ADR 25)."""
