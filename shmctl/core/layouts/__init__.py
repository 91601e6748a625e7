"""C's types: scalars and structs between bytes, values and text."""
