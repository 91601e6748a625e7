"""Use objects: make, open, resize and remove them, write and read what they hold."""
