"""Container engines: few verbs, one contract."""
