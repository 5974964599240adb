"""Whole provinces in one process: the exchange's own code under a simulated world."""
