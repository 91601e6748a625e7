"""Signals that end a command: SIGINT, SIGTERM and SIGHUP become an exception, which cleans up on its way."""

import signal
from types import FrameType

# Those that end the process with a status of ours; one that was ignored from the start stays so.
_ending_signals: list[signal.Signals] = []


class Interrupted(BaseException):
    """A signal asks the process to end; ``status`` is what it ends with.

    ``last`` is the one that came last: some calls swallow what a signal handler raises, and fail.
    ``output_error`` is why, where it was `end_for_output` that raised the signal.
    """

    last: "Interrupted | None" = None
    output_error: OSError | None = None

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status
        Interrupted.last = self


def take_over_signals() -> None:
    """Let the signals that would end this process raise `Interrupted` instead, but for those it ignores."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    _ending_signals[:] = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    listen_for_signals()


def listen_for_signals() -> None:
    """Have signals end what runs, as if none had come yet."""
    Interrupted.last = Interrupted.output_error = None
    for signal_number in _ending_signals:
        signal.signal(signal_number, _interrupt)


def end_for_output(error: OSError) -> None:
    """End what runs, for what it has to tell cannot be written: at a moment at which a signal may end it."""
    if not _ending_signals:
        raise error
    Interrupted.output_error = error
    signal.raise_signal(_ending_signals[-1])


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    # A second signal must not break into the cleaning up after the first.
    for other in _ending_signals:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(128 + signal_number)
