"""Signals that wait while something must not be left half done."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


@contextmanager
def signals_blocked() -> Iterator[Callable[[], None]]:
    """Hold back the signals that end a program; the function that is given lets them come earlier.

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
    """Hold back the signals that end a program, to the end of the `signals_blocked` that this is in."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
