"""Talks to the runner, and judges what it found."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.e2e.faults.scenarios import BYSTANDERS, Scenario
from tests.support import environment

Answer = dict[str, Any]
ERRORS = ("ENOSPC", "EIO", "EINTR", "EACCES", "EMFILE", "ENOMEM")
EMPTY = {"content": "", "mode": 0o600, "uid": 0, "gid": 0}
MESSAGE = re.compile(r"^shmctl: (line \d+: )?[a-z]+( [a-z]+)?: (?P<what>.+) \((?P<symbol>E[A-Z]+)\)$", re.M)
NAMED = re.compile(r"/|standard (in|out)put:|ioctl:|waitpid:")
OUTPUT = re.compile(r"(write|writev)\([12],|(sendfile|newfstatat|lseek)\(1,|ioctl\([12],|poll\(\[\{fd=1,")
# Whether its name is free the C library asks in a way that takes any answer but yes for a no.
# And posix_ipc has one error for whatever keeps the library from closing a semaphore.
OTHERWISE_KNOWN = re.compile(r'newfstatat\(AT_FDCWD, "/dev/shm/sem\.|munmap')
# The kernel does not refuse these, or does not return from them. What brk(2) returns is never an error.
_CANNOT_FAIL = re.compile(r"brk|rt_sig|exit_group|getpid|gettid|getrandom|restart_syscall")


class Runner:
    """The process that runs commands with injected faults; one at a time."""

    def __init__(self) -> None:
        argv = ["unshare", "-m", sys.executable, "-m", "tests.e2e.faults.runner"]
        env = environment({"HOME": "/nonexistent", "LC_ALL": "C.UTF-8"})
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=env)

    def ask(self, scenario: Scenario, inject: str | None = None, *, leaks: bool = False) -> Answer:
        """Run it, with a fault as strace(1) writes it."""
        request = {
            "args": scenario.args, "files": {**BYSTANDERS, **scenario.files}, "stdin": scenario.stdin,
            "umask": scenario.umask, "inject": inject, "leaks": leaks,
        }  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the runner died"
        answer: Answer = json.loads(line)
        return answer

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Fault:
    """What happens at a call: the ``number``-th of its ``name``; ``error`` None is SIGKILL."""

    name: str
    number: int
    line: str
    error: str | None

    @property
    def inject(self) -> str:
        """As strace(1) writes it."""
        what = f"error={self.error}" if self.error else "signal=KILL"
        return f"{self.name}:{what}:when={self.number}"

    @property
    def is_late(self) -> bool:
        """Whether by then all is done, so that a failure can be told and not be made up for."""
        return self.name in ("close", "munmap") or self.line.startswith("write(1,")


def calls_to_break(calls: list[str]) -> Iterator[tuple[str, int, str]]:
    """Each call from the first on /dev/shm on: its name, how many of that name so far, its line."""
    counts: dict[str, int] = {}
    begun = False
    for line in calls:
        name = line.partition("(")[0]
        counts[name] = counts.get(name, 0) + 1
        begun = begun or "/dev/shm" in line
        if begun:
            yield name, counts[name], line


def faults_of(calls: list[str], errors_each: int, *, killing: bool, most: int | None = None) -> list[Fault]:
    """The faults to try: SIGKILL and ``errors_each`` of the errors, in turn, at each call or at ``most``."""
    chosen = list(calls_to_break(calls))
    if most is not None:
        chosen = chosen[:: -(-len(chosen) // most)]
    faults = []
    for index, (name, number, line) in enumerate(chosen):
        if killing:
            faults.append(Fault(name, number, line, None))
        if not _CANNOT_FAIL.match(name):
            errors = (ERRORS[(index * errors_each + i) % len(ERRORS)] for i in range(errors_each))
            faults += (Fault(name, number, line, error) for error in errors)
    return faults


def problems(scenario: Scenario, undisturbed: Answer, fault: Fault, answer: Answer) -> list[str]:
    """What is wrong with how the command took the fault."""
    found = []
    before, now, done = answer["before"], answer["after"], undisturbed["after"]
    if answer["hung"]:
        found.append("it hung")
    if "Traceback" in answer["err"] or "internal error" in answer["err"]:
        found.append("it told of itself, not of the fault")
    for name in BYSTANDERS:
        if now.get(name) != before[name]:
            found.append(f"{name} was touched")
    found += [
        f"{name} is another object"
        for name in before.keys() & now.keys()
        if before[name]["inode"] != now[name]["inode"] and not scenario.replaces
    ]
    operands = [name for name in {**before, **now, **done} if name not in BYSTANDERS]
    if fault.error is None:
        found += _problems_of_the_killed(scenario, answer, done, operands)
    else:
        found += _problems_of_the_failed(scenario, answer, undisturbed, fault, operands)
    return found


def _problems_of_the_killed(
    scenario: Scenario, answer: Answer, done: Any, operands: list[str]
) -> Iterator[str]:
    before, now = answer["before"], answer["after"]
    if answer["hit"] and answer["status"] != -9:
        yield f"status {answer['status']} for one that was killed"
    for name in operands:
        if _same(now, before, name) or _same(now, done, name):
            continue
        if _is_left(scenario, name, done) or (
            name in now and scenario.half(before.get(name, EMPTY), now[name])
        ):
            continue
        yield f"{name} is neither as before nor as after"
    for name in now.keys() - before.keys():
        # Two names of one object have one row.
        if not re.search(rf'("name": "|"also named [^"]*)/{re.escape(name)}[",]', answer["leaks"]):
            yield f"leaks does not name {name}"


def _problems_of_the_failed(
    scenario: Scenario, answer: Answer, undisturbed: Answer, fault: Fault, operands: list[str]
) -> Iterator[str]:
    before, now, done = answer["before"], answer["after"], undisturbed["after"]
    status = answer["status"]
    if status == undisturbed["status"]:
        for name in operands:
            spared = scenario.cautious and _same(now, before, name)
            if not (_same(now, done, name) or spared or _is_left(scenario, name, done)):
                yield f"{name} is not as asked for"
        return
    if status not in (1, 126):
        yield f"status {status}"
    yield from _problems_of_the_message(answer["err"], undisturbed["err"], fault)
    for name in operands:
        if _same(now, before, name):
            continue
        if _same(now, done, name) and (scenario.several or fault.is_late):
            continue
        if name in before and name in now and scenario.failed(before[name], now[name]):
            continue
        if _is_left(scenario, name, done) and name in now and name in answer["err"]:
            continue
        yield f"{name} is not as before"


def _problems_of_the_message(err: str, usual: str, fault: Fault) -> Iterator[str]:
    if fault.line.startswith("write(2,"):
        return  # it had nowhere to go
    message = MESSAGE.search(err.removeprefix(usual))
    if not message:
        yield "no message"
        return
    named = message["what"]
    if message["symbol"] != fault.error and not OTHERWISE_KNOWN.match(fault.line):
        yield f"the message says {message['symbol']}"
    if named.startswith("standard output") and not OUTPUT.match(fault.line):
        yield "the message blames standard output"
    if not NAMED.match(named):
        yield "the message names nothing"


def _is_left(scenario: Scenario, name: str, done: Any) -> bool:
    return bool(scenario.leaves) and name.startswith(scenario.leaves) and name not in done


def _same(one: Any, other: Any, name: str) -> bool:
    """Whether an object is the same in both states, the times apart."""
    a, b = one.get(name), other.get(name)
    if a is None or b is None:
        return a is b
    return all(a[key] == b[key] for key in ("content", "mode", "uid", "gid"))
