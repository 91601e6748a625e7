"""Structures, whole processes: where the layout comes from, beside a Python with shmctl's imports.

Bars, of 'python -c "import click, posix_ipc, mmap"': 2.0 for declarations, 3.5 for a header by the compiler,
3 for a small program; 0.6 s for a type of Debian's debug build of libpython, 1 s for those that it has not.
For C++ with <atomic> and <mutex> the compiler's own time stands beside. Usage: bench/layouts.py [ROUNDS]
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from pairs import PYTHON, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
PEER = [PYTHON, "-c", "import click, posix_ipc, mmap"]
NAME = f"/shmctl-bench-{os.getpid()}-layouts"
HEADER = "#include <stdint.h>\ntypedef struct { int32_t x; char name[8]; } box;\n"
CPP = "#include <atomic>\n#include <mutex>\nstruct box { std::atomic<int> x; std::mutex m; };\n"
PROGRAM = HEADER + "box b;\nint main(void) { return b.x; }\n"
LIBRARY = next(Path("/usr/lib").glob("*/libpython3*d.so.1.0"), None)
SECONDS = {"PyTypeObject": 0.6, "no_such_type": 1.0, "list": 1.0}
"""A type, one that is not there, and one that is not there while many names end with it."""


def timed(argv: list[str]) -> float:
    return run(argv).seconds


def main(folder: Path) -> int:
    header, cpp, source, program = (folder / name for name in ("box.h", "box.hpp", "box.c", "box"))
    for path, text in ((header, HEADER), (cpp, CPP), (source, PROGRAM)):
        path.write_text(text)
    subprocess.run(["cc", "-g", "-o", program, source], check=True)
    Path("/dev/shm" + NAME).write_bytes(bytes(64))
    read = ("read", NAME, "--struct")
    works = {
        "declarations": (shmctl(*read, "int x; char name[8];"), 2.0),
        "--header": (shmctl(*read, "box", "--header", str(header)), 3.5),
        "--elf": (shmctl(*read, "box", "--elf", str(program)), 3.0),
    }
    held = True
    for name, (argv, bar) in works.items():
        turns = take_turns({name: partial(timed, argv), "peer": partial(timed, PEER)}, ROUNDS)
        ratio = compare(turns[name], turns["peer"])
        held &= report(name, ratio, bar, ("shmctl", turns[name]), ("imports alone", turns["peer"]))
    compiler = ["c++", "-g", "-c", "-w", "-x", "c++", "-o", str(folder / "o"), str(cpp)]
    own = shmctl(*read, "box", "--header", str(cpp))
    turns = take_turns(
        {"c++": partial(timed, own), "compiler": partial(timed, compiler)}, max(3, ROUNDS // 4)
    )
    ratio = compare(turns["c++"], turns["compiler"])
    report("--header of C++", ratio, None, ("shmctl", turns["c++"]), ("c++ alone", turns["compiler"]))
    for name, seconds in SECONDS.items() if LIBRARY else ():
        looked_up = " ".join(shmctl("layout", name, "--elf", str(LIBRARY), "--json"))
        expected = 0 if name == "PyTypeObject" else 2
        argv = ["sh", "-c", f"{looked_up} 2>&1; [ $? = {expected} ]"]
        times = sorted(timed(argv) for _ in range(max(3, ROUNDS // 2)))
        median = times[len(times) // 2]
        sys.stdout.write(f"{name} of {LIBRARY}: {median:.3f} s, bar {seconds} s\n")
        held &= median <= seconds
    return 0 if held else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        try:
            status = main(Path(folder))
        finally:
            Path("/dev/shm" + NAME).unlink(missing_ok=True)
    sys.exit(status)
