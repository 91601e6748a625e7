"""Python programs on the other side: real processes, run from their text."""

import sys

from tests.support import Result, run_command


def run_python(source: str, *args: str, options: tuple[str, ...] = ()) -> Result:
    """Run a program to its end, with warnings as errors; ``sys.argv[1:]`` are ``args``."""
    return run_command([sys.executable, *options, "-c", source, *args])


def python(source: str, *args: str) -> str:
    """Run a program, which has to succeed without a word of complaint; returns its output."""
    result = run_python(source, *args)
    assert (result.status, result.errors) == (0, ""), result
    return result.text
