"""What changes membership: joining, standing, keys, the directory."""
