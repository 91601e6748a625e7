"""Look at objects: what is there, who uses it, what may go."""
