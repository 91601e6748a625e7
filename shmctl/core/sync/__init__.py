"""Wait for objects, and keep their users in step."""
