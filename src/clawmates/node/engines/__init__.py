"""Container engines: one seam with few verbs, its drivers, and the fake that passes the same contract."""
