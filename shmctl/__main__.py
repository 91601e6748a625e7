"""The command's entry point: as little as possible, so that Ctrl-C is quiet from the start."""

import gc
import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run shmctl with the process's arguments, and end the process."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        # While modules load there is nothing to clean up.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Everything loaded from here on lives until exit: collecting garbage now finds none.
    gc.disable()
    if "_SHMCTL_COMPLETE" in os.environ:
        from shmctl.cli.completion.shells import answer
        from shmctl.cli.group import cli

        os._exit(answer(cli, os.environ["_SHMCTL_COMPLETE"]))
    from shmctl.cli.main import run_process

    gc.freeze()
    gc.enable()
    status = run_process(sys.argv[1:])
    # Output is flushed and files are closed: tearing down the interpreter only costs time.
    os._exit(status)


if __name__ == "__main__":
    main()
