"""The office face: what officers see. It mounts what capabilities register, knowing none."""
