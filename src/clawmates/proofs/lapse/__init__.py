"""What comes to its end: a throw-away region of real services, a clock moved by hand, and people who are deleted."""
