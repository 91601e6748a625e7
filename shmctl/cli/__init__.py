"""The command line: parsing, sessions, messages, exit statuses."""
