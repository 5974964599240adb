"""Working days and legal time limits: pure rules, and the seed of the working calendar."""
