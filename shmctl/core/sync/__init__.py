"""Waiting, back-off and semaphores."""
