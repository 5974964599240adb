"""What can be done with articles: offered and released in the office, put online in public."""
