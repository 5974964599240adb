"""The face of a node in the public zone: almost everything it shows is baked beforehand."""
