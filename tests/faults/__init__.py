"""Three real nodes, each in a network of its own, under faults that are real as well."""
