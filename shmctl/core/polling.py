"""Wait until a descriptor can be read: poll(2), since select(2) ends at descriptor 1023."""

import math
import select
import time

# Python acts on a signal when a call ends. One that comes just before the call begins does not end it:
# so no call may last for ever.
SLICE = 1.0
"""Seconds that a wait may go on before it begins anew."""


def readable_within(fd: int, seconds: float | None) -> bool:
    """Wait until ``fd`` can be read, or has failed, at most ``seconds`` (None: forever); whether it can."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(ready_within(poll, seconds))


def ready_within(poll: select.poll, seconds: float | None) -> list[tuple[int, int]]:
    """The same for all descriptors of ``poll``: those that are ready, and for what."""
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    while True:
        left = max(0.0, deadline - time.monotonic())
        # Rounded up: a poll that ends too early would be taken for the timeout.
        if ready := poll.poll(math.ceil(min(left, SLICE) * 1000)):
            return ready
        if time.monotonic() >= deadline:
            return []
