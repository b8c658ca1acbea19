"""Networks of someone else's: how they are called, kept apart, found out and checked."""
