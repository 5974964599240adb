"""The pages about documents: `outgoing` for those we issue, `incoming` for those we get."""
