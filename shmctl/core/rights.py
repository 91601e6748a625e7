"""Whether a user works here with the rights of another one, as with sudo(8)."""

import os

_STARTERS = ("SUDO_UID", "SUDO_USER", "PKEXEC_UID", "DOAS_USER")
"""What sudo(8), pkexec(1) and doas(1) tell the programs that they start."""

FIXED_PATH = "/usr/bin:/bin"
"""Where programs come from that run with these rights."""


def is_on_behalf() -> bool:
    """Whether the user who started this has other rights: the environment chooses no program then."""
    apart = os.getuid() != os.geteuid() or os.getgid() != os.getegid()
    return apart or any(variable in os.environ for variable in _STARTERS)
