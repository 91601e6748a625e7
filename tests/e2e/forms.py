"""Every command in its forms, for tests that have to hold for all, and a way to run them in one go."""

import json
import sys
from collections.abc import Iterable, Sequence

from shmctl.cli.group import COMMANDS

# NAME is an object's name, SEM a semaphore's; FILE is a file that can be read, SCRIPT one of commands.
FORMS: dict[str, list[list[str]]] = {
    "create": [
        ["create", "NAME"],
        ["create", "NAME", "--no-excl"],
        ["create", "NAME", "--no-excl", "-s", "10", "--trunc", "--reserve"],
        ["create", "NAME", "--atomic"],
        ["create", "NAME", "--atomic", "--replace", "-s", "40"],
    ],
    "truncate": [["truncate", "NAME", "-s", "+10", "-v"]],
    "write": [
        ["write", "NAME", "text"],
        ["write", "NAME", "--create", "--grow", "text"],
        ["write", "NAME", "--create", "--exact"],
        ["write", "NAME", "--lock", "--fill", "1"],
        ["write", "NAME", "-i", "FILE", "--grow", "-v"],
        ["write", "NAME", "--create", "--atomic", "text"],
        ["write", "NAME", "--create", "--atomic", "--replace", "-i", "FILE"],
        ["write", "NAME", "--struct", "char c[20]; int x:3;", "x=1"],
    ],
    "read": [
        ["read", "NAME", "--hex"],
        ["read", "NAME", "--text"],
        ["read", "NAME", "--json"],
        ["read", "NAME", "--text", "--json"],
        ["read", "NAME", "--type", "char", "-c", "16"],
        ["read", "NAME", "--type", "int32"],
        ["read", "NAME", "--struct", "char c[20]; int x;"],
        ["read", "NAME", "--struct", "char c[20]; int x;", "c"],
        ["read", "NAME", "--struct", "char c[20]; int x;", "--json"],
        ["read", "NAME", "--lock", "--text"],
    ],
    "ls": [
        ["ls"],
        ["ls", "-a"],
        ["ls", "-a", "NAME", "--json"],
        ["ls", "-a", "-o", "+path,verdict,holders,software", "--no-headings"],
    ],
    "stat": [
        ["stat", "NAME"],
        ["stat", "NAME", "--holders"],
        ["stat", "NAME", "--json", "--holders"],
        ["stat", "NAME", "-f", "%n %N %U %G %m %F"],
    ],
    "chmod": [["chmod", "640", "NAME", "-v"]],
    "chown": [["chown", ":0", "NAME", "-v"]],
    "events": [["events", "NAME", "--timeout", "0.02"], ["events", "--json", "--timeout", "0.02"]],
    "holders": [["holders"], ["holders", "NAME"], ["holders", "NAME", "--json"], ["holders", "--unlinked"]],
    "wait": [
        ["wait", "NAME", "--timeout", "0.02"],
        ["wait", "NAME", "--gone", "--timeout", "0.02"],
        ["wait", "NAME", "--unused", "--timeout", "0.02"],
        ["wait", "NAME", "--changed", "--timeout", "0.02"],
        ["wait", "NAME", "--type", "char", "!= 0", "--print", "--timeout", "0.02"],
        ["wait", "NAME", "--struct", "char c[4]; int x;", "x != 0", "--print", "--timeout", "0.02"],
    ],
    "lock": [
        ["lock", "NAME", "--timeout", "0.02", "--", "true"],
        ["lock", "NAME", "--nonblock", "--shared", "--", "true"],
    ],
    "sem": [
        ["sem", "ls"],
        ["sem", "ls", "--json"],
        ["sem", "value", "SEM"],
        ["sem", "post", "SEM"],
        ["sem", "wait", "SEM", "--nonblock"],
        ["sem", "wait", "SEM", "--timeout", "0.02"],
        ["sem", "create", "SEM"],
        ["sem", "create", "SEM", "--no-excl"],
        ["sem", "unlink", "SEM", "-v"],
    ],
    "run": [["run", "--name", "NAME", "--size", "10", "--", "true"], ["run", "--from", "FILE", "--", "true"]],
    "leaks": [["leaks"], ["leaks", "--min-age", "0", "NAME"], ["leaks", "--min-age", "0", "--json"]],
    "gc": [
        ["gc", "--min-age", "0"],
        ["gc", "--min-age", "0", "--json", "NAME"],
        ["gc", "--min-age", "0", "--yes", "--semaphores", "NAME"],
    ],
    "df": [["df"], ["df", "--json"]],
    "mv": [
        ["mv", "NAME", "/moved"],
        ["mv", "--replace", "-v", "NAME", "/moved"],
        ["mv", "--exchange", "NAME", "/moved"],
    ],
    "cp": [["cp", "NAME", "/copy"], ["cp", "--replace", "-v", "NAME", "/copy"]],
    "locks": [
        ["locks"],
        ["locks", "NAME", "--json"],
        ["locks", "NAME", "--struct", "pthread_mutex_t m; char c[20];", "-c", "all"],
    ],
    "rescue": [["rescue", "NAME", "/rescued"], ["rescue", "--from-memory", "NAME"]],
    "layout": [["layout", "char c[20]; int x:3;"], ["layout", "--json", "char c[20]; int x:3;"]],
    "rm": [["rm", "-n", "NAME"], ["rm", "NAME*"], ["rm", "-f", "-v", "NAME"], ["rm", "-v", "NAME"]],
    "unlink": [["unlink", "NAME"]],
    "batch": [["batch", "SCRIPT"]],
    "doctor": [["doctor"], ["doctor", "--json"]],
    "metrics": [["metrics"]],
    "completion": [["completion", "bash"]],
}
REMOVING = ("rm", "unlink", "sem unlink", "gc")


def all_forms() -> list[list[str]]:
    """The forms of the commands that there are."""
    assert set(COMMANDS) <= set(FORMS), "a new command needs its forms here"
    return [form for command in COMMANDS for form in FORMS[command]]


def removes(form: Sequence[str]) -> bool:
    """Whether it may take away the name that it is given, whatever stands under it."""
    return " ".join(form).startswith(REMOVING)


IN_PROCESS = """
import json, os, signal, sys
from shmctl.cli import main

class Stuck(BaseException):
    pass

def stuck(*_):
    raise Stuck

def run_form(args):
    '''The status, or what kept it from ending.'''
    signal.signal(signal.SIGALRM, stuck)
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        status = int(main.run(args))
        sys.stdout.flush()
        return status
    except Stuck:
        return "stuck"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

"""
"""Beginning of a script that runs forms in its own process, each for 20 seconds at most."""


def script_argv(script: str, *data: object) -> list[str]:
    """The command line of a script that begins with IN_PROCESS; sys.argv[1:] are ``data`` as JSON."""
    return [sys.executable, "-c", IN_PROCESS + script, *map(json.dumps, data)]


def own_shm(argv: Iterable[str | bytes], setup: str = ":") -> list[str | bytes]:
    """``argv`` run where /dev/shm is a fresh tmpfs that nobody else sees, after ``setup`` in sh."""
    mount = f'mount -t tmpfs -o mode=1777 tmpfs /dev/shm && {setup} && exec "$@"'
    return ["unshare", "-m", "sh", "-c", mount, "sh", *argv]
