"""shmctl: POSIX shared-memory objects from the shell and from Python."""

__version__ = "0.1.0.dev0"
