"""Records in, text out: renderers gather nothing."""
