"""Where the user's own files are, by the XDG Base Directory Specification."""

import os


def config_file(name: str) -> str | None:
    """The path of a file of settings: ``~/.config/shmctl/NAME``; None for a user without a home."""
    return _path("XDG_CONFIG_HOME", "~/.config", name)


def state_file(name: str) -> str | None:
    """The path of a file that is kept between runs: ``~/.local/state/shmctl/NAME``; None as above."""
    return _path("XDG_STATE_HOME", "~/.local/state", name)


def _path(variable: str, default: str, name: str) -> str | None:
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):  # the specification: an empty one is as good as none, a relative one invalid
        base = os.path.expanduser(default)
    # In a container HOME may be unset, and the user in no database.
    return os.path.join(base, "shmctl", name) if os.path.isabs(base) else None
