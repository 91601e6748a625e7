"""The Python library: what ``import shmctl`` gives, loaded when it is first asked for."""
