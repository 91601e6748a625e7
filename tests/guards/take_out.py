"""Takes out one guard after another, and sees the tests fail that are to watch over it.

    .venv/bin/python -m tests.guards.take_out [WORD ...]

The words choose guards by what they say of themselves. Each is tried in a mount namespace of its own,
where the changed code lies over shmctl/, and /dev/shm is a tmpfs that nobody else sees: it takes root.
Ends with 1 if a test that should fail does not, or one fails that should not.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.documents import ROOT
from tests.guards.guard import Guard, all_guards
from tests.guards.surgery import Package

SECONDS = 900
OPTIONS = ("-q", "-rfE", "--tb=short", "-p", "no:cacheprovider")
ENTER = 'mount --bind "$0" "$1" && mount -t tmpfs -o mode=1777 tmpfs /dev/shm && shift && exec "$@"'
_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/[\w/]+\.py::\w+)", re.M)
_PASSED, _SOME_FAILED = 0, 1


def run_tests(tests: Sequence[str], guard: Guard | None = None) -> tuple[int, set[str], str]:
    """How pytest ended with ``guard`` taken out, the functions that failed, and what it printed."""
    with tempfile.TemporaryDirectory(prefix="shmctl-guard-") as folder:
        Path(folder).chmod(0o755)
        package = Path(folder) / "shmctl"
        shutil.copytree(ROOT / "shmctl", package, ignore=shutil.ignore_patterns("__pycache__"))
        if guard is not None:
            for path, text in Package(package).changed(guard.changes).items():
                path.write_text(text)
        pytest = [sys.executable, "-m", "pytest", *OPTIONS, *tests]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", ENTER, str(package), str(ROOT / "shmctl"), *pytest],
            cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    return done.returncode, set(_FAILED.findall(done.stdout)), done.stdout


def main(words: Sequence[str]) -> int:
    """Try the guards that have all ``words``; the status to end with."""
    chosen = [guard for guard in all_guards() if all(word in str(guard) for word in words)]
    if not chosen:
        print(f"no guard has all of these: {', '.join(words)}")
        return 1
    tests = sorted({test for guard in chosen for test in guard.tests})
    status, _, shown = run_tests(tests)
    if status != _PASSED:
        print(f"with every guard in its place:\n{shown}")
        return 1
    unwatched = 0
    for guard in chosen:
        status, failed, shown = run_tests(guard.tests, guard)
        if status == _SOME_FAILED and failed == set(guard.tests):
            print(f"seen to fail: {guard.row} | {guard.guard}", flush=True)
        else:
            unwatched += 1
            print(f"NOT SEEN to fail: {guard.row} | {guard.guard}: {sorted(failed)}\n{shown}", flush=True)
    print(f"{len(chosen)} guards, {unwatched} of them unwatched")
    return 1 if unwatched else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
