"""SIGINT, SIGTERM and SIGHUP as an exception, so that a command cleans up before it ends."""

import signal
from types import FrameType

# The signals handled here; one that was ignored at start-up stays ignored.
_ending_signals: list[signal.Signals] = []


class Interrupted(BaseException):
    """A signal ends the process with exit status ``status``.

    ``last`` is the most recent one: some calls swallow what a signal handler raises, and fail.
    ``output_error`` is the reason if `end_for_output` raised the signal.
    """

    last: "Interrupted | None" = None
    output_error: OSError | None = None

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status
        Interrupted.last = self


def take_over_signals() -> None:
    """Make the signals that would end this process raise `Interrupted`, unless they are ignored."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    _ending_signals[:] = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    listen_for_signals()


def listen_for_signals() -> None:
    """Install the handlers, and forget earlier signals."""
    Interrupted.last = Interrupted.output_error = None
    for signal_number in _ending_signals:
        signal.signal(signal_number, _interrupt)


def end_for_output(error: OSError) -> None:
    """Abort the command: its output cannot be written. Raises a signal, which blocked sections defer."""
    if not _ending_signals:
        raise error
    Interrupted.output_error = error
    signal.raise_signal(_ending_signals[-1])


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up after the first.
    for other in _ending_signals:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(128 + signal_number)
