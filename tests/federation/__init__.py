"""Several real nodes, each in processes of its own, talking over real sockets."""
