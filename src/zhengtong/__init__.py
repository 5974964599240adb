"""政通: a digital-government platform for a prefecture-level city, one program per node."""

__version__ = "0.1.0"
