"""One file a command: parse, call the library, hand records to a renderer."""
