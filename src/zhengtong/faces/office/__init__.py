"""The office face: what officers see. It mounts what capabilities register and knows none by name."""
