"""The roads between nodes: each carries the link's batches as opaque bytes, and no more."""
