"""What happens in a directory, as it happens, and which process does it."""
