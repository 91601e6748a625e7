#!/usr/bin/env python3
"""Draw the pictures of README.md and the guides: docs/pictures.py [FOLDER] keeps what a terminal shows.

Needs root: the objects are in a /dev/shm of its own, in a mount namespace that
ends with it. What differs from run to run is kept to a minimum, so that a picture
changes when the program does.
"""

import os
import pty
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path
from struct import pack

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

COLUMNS = 100
# A quarter past nine on the day of the first release.
STAMP = "2026-11-23 09:15:00 UTC"
SCENE = """
mount -t tmpfs -o mode=1777,size=64M tmpfs /dev/shm
shmctl create /box --size 100
shmctl write /box 'Hello from shared memory'
shmctl write /box --offset 32 --struct 'int id; double x;' id=42 x=1.5
(umask 007; shmctl create /frames --size 8M --reserve --mode 660)
shmctl create /psm_4f1d8a02 /torch_999999_7_1 --size 4M --reserve
shmctl sem create /turn --value 1
exec 9< /dev/shm/frames
touch --no-create --date "$STAMP" /dev/shm/*
"""
PICTURES = {
    "ls": "shmctl ls --columns name,size,allocated,mode,owner,modified,kind",
    "stat": "shmctl stat /box",
    "hex": "shmctl read /box",
    "struct": "shmctl read /box --offset 32 --struct 'int id; double x;'",
    "leaks": "shmctl leaks --min-age 0",
    "df": "shmctl df",
    "trace": "shmctl --trace write /box 'Hello again'",
}


def main() -> None:
    """Go into a namespace, set the scene, and draw each picture."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    if os.environ.get("SHMCTL_SCENE") != "set":
        setting = f'set -e; umask 022\n{SCENE}\nexec "$@"'
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": "/nonexistent",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "xterm-256color",
            "SHMCTL_SCENE": "set",
            "STAMP": STAMP,
        }
        own = [
            "unshare",
            "--mount",
            "--ipc",
            "bash",
            "-c",
            setting,
            "bash",
            sys.executable,
            __file__,
            str(folder),
        ]
        sys.exit(subprocess.run(own, env=environment, check=False).returncode)
    for name, command in PICTURES.items():
        draw(command, folder / f"{name}.svg")


def draw(command: str, path: Path) -> None:
    """The command at a prompt, and what it shows, as SVG."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(shown_on_terminal(command)))
    svg = console.export_svg(title="shmctl", theme=DIMMED_MONOKAI, unique_id=f"shmctl-{path.stem}")
    path.write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()))


def shown_on_terminal(command: str) -> str:
    """What a command shows on a terminal, in colour."""
    pid, master = pty.fork()
    if pid == 0:
        ioctl(0, termios.TIOCSWINSZ, pack("HHHH", 50, COLUMNS, 0, 0))
        os.execvp("bash", ["bash", "-c", command])
    shown = b""
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # EIO: the command has ended
        pass
    os.waitpid(pid, 0)
    return shown.decode().replace("\r\n", "\n").rstrip("\n")


if __name__ == "__main__":
    main()
