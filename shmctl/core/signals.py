"""Block signals while an operation must not be interrupted half-way."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


@contextmanager
def signals_blocked() -> Iterator[Callable[[], None]]:
    """Block SIGINT, SIGTERM and SIGHUP; yields a function that unblocks them early.

    A handler that raises does so in that function, or at the end of the body.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def deliver() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield deliver
    finally:
        deliver()


def block_signals() -> None:
    """Block those signals again, until the end of the enclosing `signals_blocked`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
