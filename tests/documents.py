"""Sessions as README.md and the manual pages show them: taken out of the text, run in bash, compared."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import run_command

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_COMMENTS = {"c": r"/\*", "python": "#"}
_MARK = re.compile(r"\n?<<step (\d+) ended with (\d+)>>\n")
ANYTHING = "…"
"""Stands in expected output for whatever differs from run to run, within a line."""
PID = "4711"
"""Stands in expected output for any process ID, the columns around it being as wide as they have to be."""
# Hosts differ in this: to some processes even root has no access.
_UNINSPECTED = re.compile(
    r"shmctl: \w+: \d+ process(es)? could not be inspected(, [0-9]+ of them)?: [^(\n]+ \([A-Z]+\)"
)


def private_shm(*unshared: str, size: str = "64M") -> list[str]:
    """What to put before a command to give it a /dev/shm of its own, and further options of unshare(1)."""
    mount = f"mount -t tmpfs -o mode=1777,size={size},nr_inodes=1024 tmpfs /dev/shm"
    return ["unshare", "--mount", "--ipc", *unshared, "sh", "-c", f'{mount} && exec "$@"', "sh"]


@dataclass
class Step:
    """A command, and the lines that it is shown to print."""

    command: str
    shown: list[str] = field(default_factory=list)


def fences(text: str) -> list[tuple[str, str]]:
    """The fenced blocks, each with its language."""
    return _FENCE.findall(text)


def steps(session: str) -> list[Step]:
    """The commands after ``$``, which go on after ``>``, each with the output below it."""
    found: list[Step] = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        elif (line == ">" or line.startswith("> ")) and found and not found[-1].shown:
            found[-1].command += "\n" + line[2:]
        else:
            found[-1].shown.append(line)
    return found


def session_of(text: str, folder: Path) -> list[Step]:
    """The steps of all console blocks; C and Python blocks become files, named by their comments."""
    session: list[Step] = []
    for language, block in fences(text):
        if language == "console":
            session += steps(block)
        elif language in _COMMENTS:
            name = re.match(_COMMENTS[language] + r" (\S+):", block)
            assert name, f"a {language} block begins with a comment that names its file"
            (folder / name[1]).write_text(block)
    return session


def check_session(
    session: Sequence[Step],
    folder: Path,
    *,
    wrapper: Sequence[str] = (),
    env: dict[str, str] | None = None,
) -> None:
    """Run the steps in one bash; each prints what is shown, and succeeds unless ``echo $?`` follows it."""
    script = folder / ".session"
    lines = ["exec 2>&1", "umask 022"]
    for number, step in enumerate(session):
        lines.append(step.command)
        lines.append(
            f'_status=$?; printf "\\n<<step %d ended with %d>>\\n" {number} $_status; (exit $_status)'
        )
    script.write_text("\n".join(lines) + "\n")
    result = run_command(
        [*wrapper, "env", "--chdir", str(folder), "bash", str(script)],
        env={
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            **(env or {}),
        },
    )
    pieces = _MARK.split(result.text)
    outputs, statuses = pieces[0::3], [int(status) for status in pieces[2::3]]
    assert len(statuses) == len(session), f"bash ended early:\n{result.text}"
    for number, step in enumerate(session):
        _check_output(step, outputs[number])
        told = session[number + 1 : number + 2] and session[number + 1].command == "echo $?"
        assert told or statuses[number] == 0, f"$ {step.command}\nended with {statuses[number]}"


def _check_output(step: Step, output: str) -> None:
    output = _without_uninspected(output)
    printed = output.removesuffix("\n").split("\n") if output else []
    any_width = any(PID in line for line in step.shown)
    same = len(printed) == len(step.shown) and all(
        _matches(shown, line, any_width) for shown, line in zip(step.shown, printed, strict=True)
    )
    expected = "\n".join(step.shown)
    assert same, f"$ {step.command}\n--- prints:\n{output}\n--- and not:\n{expected}"


def _without_uninspected(output: str) -> str:
    """In a pipeline, what another program prints may come between that message and its newline."""
    output = re.sub(_UNINSPECTED.pattern + "\n", "", output)
    while match := _UNINSPECTED.search(output):
        output = output[: match.start()] + output[match.end() :].replace("\n\n", "\n", 1)
    return output


def _matches(shown: str, printed: str, any_width: bool) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.split(ANYTHING))
    if any_width:
        pattern = re.sub(r"(\\ ){2,}", " {2,}", pattern).replace(PID, "[0-9]+")
    return re.fullmatch(pattern, printed.rstrip("\0")) is not None
