"""The address and port that a server listens on."""

import re
from dataclasses import dataclass

from shmctl.core.errors import InputError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """A host (number or name) and a TCP port; with port 0 the kernel picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_ADDRESS = re.compile(
    r"((\[(?P<bracketed>[0-9A-Fa-f:.]+(%[^\]\s]+)?)\]|(?P<host>[^:\[\]\s/]*)):)?(?P<port>[0-9]+)"
)


def parse_address(text: str) -> Address:
    """Parse ``127.0.0.1:9100``, ``[::1]:9100``, ``localhost:9100``, ``:9100`` or ``9100``.

    The default host is the loopback address. Raises InputError.
    """
    match = _ADDRESS.fullmatch(text) if text.isascii() else None
    if match is None:
        hint = "write an IPv6 address in brackets: [::1]:9100" if text.count(":") > 1 else None
        raise InputError(f"invalid address '{text}': it is ADDR:PORT, as in {LOOPBACK}:9100", hint)
    port = match["port"]
    if len(port) > 5 or int(port) > 0xFFFF:
        raise InputError(f"invalid address '{text}': ports go up to 65535")
    return Address(match["bracketed"] or match["host"] or LOOPBACK, int(port))
