"""An account is deleted: its bots end, the vault's keys, the rows, the bytes; then there is a receipt."""
