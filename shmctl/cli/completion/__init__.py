"""Completion of command lines, for bash, zsh, fish and the prompt."""
