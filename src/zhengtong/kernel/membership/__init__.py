"""Who belongs to the exchange: invitation, approval, standing, keys, and their directory."""
