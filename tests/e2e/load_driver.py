"""One of many processes that use the same objects: commands in a loop, through the real error boundary.

Arguments: a seed, and for how many seconds. Prints, as JSON, how often each command ended how.
"""

import json
import os
import random
import re
import sys
import time
from collections import Counter

import shmctl.cli.main as shmctl_main

NAMES = [f"/load{number}" for number in range(10)]
SIZES = ["0", "1", "100", "4096", "5000", "100000"]
MESSAGE = re.compile(r"shmctl: [^\n]*\((E[A-Z]+)\)")


def command_line(chance: random.Random) -> list[str]:
    name, size = chance.choice(NAMES), chance.choice(SIZES)
    held = chance.choice(["/held-fd", "/held-map", "/held-python"])
    return chance.choice(
        [
            ["create", name, "-s", size],
            ["create", name, "-s", size, "--reserve", "--no-excl"],
            ["create", name, "--no-excl", "--trunc"],
            ["write", name, "x" * chance.randrange(1, 200), "-o", chance.choice(SIZES), "--grow"],
            ["write", name, "--create", "--fill", "7", "-n", size],
            ["write", name, "--type", "int64", "1", "2", "3", "--create", "--lock"],
            ["write", name, "--struct", "int a; unsigned b:3; char c[90]", "a=1", "b=2"],
            ["write", name, "--exact", "--hex", "00ff" * 50],
            ["read", name],
            ["read", name, "--json"],
            ["read", name, "--type", "int32", "-c", "20"],
            ["read", name, "--lock", "--text"],
            ["truncate", name, "-s", size],
            ["truncate", name, "-s", "+10"],
            ["stat", name, "--json"],
            ["chmod", "640", name],
            ["ls", "--json"],
            ["ls", "load*", "-o", "+verdict"],
            ["leaks", "--min-age", "0", "--json"],
            ["gc", "--yes", "--min-age", "0"],
            ["gc", "load*", "--yes", "--min-age", "0", "--json"],
            ["rm", name],
            ["rm", "-f", name, chance.choice(NAMES)],
            ["unlink", name],
            ["wait", name, "--timeout", "0.001"],
            ["read", held, "--lock"],
            ["stat", held],
            ["truncate", held, "-s", "8192"],
        ]
    )


def main() -> None:
    chance = random.Random(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2])
    out, err = os.memfd_create("out"), os.memfd_create("err")
    report = os.dup(1)
    os.dup2(out, 1)
    os.dup2(err, 2)
    ended: Counter[str] = Counter()
    odd: list[str] = []
    while time.monotonic() < until:
        for fd in (out, err):
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        args = command_line(chance)
        status = int(shmctl_main.run(args))
        sys.stdout.flush()
        sys.stderr.flush()
        said = os.pread(err, 10_000, 0).decode()
        symbols = MESSAGE.findall(said)
        ended[" ".join([args[0], str(status), *symbols[:1]])] += 1
        if "internal error" in said or "Traceback" in said or (status and not symbols):
            odd.append(f"{args}: {status}: {said}")
        if status == 0 and "--json" in args:
            json.loads(os.pread(out, 10_000_000, 0))
    os.write(report, json.dumps({"ended": ended, "odd": odd}).encode())


if __name__ == "__main__":
    main()
