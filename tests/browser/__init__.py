"""The story in a real browser, on the real demo city."""
