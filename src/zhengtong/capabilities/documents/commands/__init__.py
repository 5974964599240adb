"""What can be done with documents: `outgoing` for those we issue, `incoming` for those we get."""
