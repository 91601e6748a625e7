"""Wait until a descriptor can be read: poll(2), since select(2) ends at descriptor 1023."""

import math
import select
import time

_LONGEST_MS = 2**31 - 1  # poll(2) takes an int, 24 days


def readable_within(fd: int, seconds: float | None) -> bool:
    """Wait until ``fd`` can be read, or has failed, at most ``seconds`` (None: forever); whether it can."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if seconds is None:
        return bool(poll.poll())
    deadline = time.monotonic() + seconds
    while True:
        left = max(0.0, deadline - time.monotonic())
        # Rounded up: a poll that ends too early would be taken for the timeout.
        if poll.poll(min(math.ceil(left * 1000), _LONGEST_MS)):
            return True
        if time.monotonic() >= deadline:
            return False
