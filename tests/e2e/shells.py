"""Interactive shells on a terminal, with shmctl's completion, that tell what stands on the command line."""

import sys
import time
from pathlib import Path

from tests.e2e.terminal import Terminal
from tests.support import TIMEOUT

SCRIPTS = Path(sys.executable).parent
SHELLS = ("bash", "zsh", "fish")
_TELL = b"\x18\x14"  # Ctrl-X Ctrl-T
_PROMPT = "ready> "
_TAKEN = {
    "bash": r"""
PS1='ready> '
bind 'set show-all-if-ambiguous on' 'set bell-style none' 'set enable-bracketed-paste off'
bind 'set completion-query-items 0' 'set page-completions off'
bind -x '"\C-x\C-t": printf "%s\0" "$READLINE_LINE" >> told'
eval "$(shmctl completion bash)"
""",
    "zsh": r"""
PS1='ready> '
unset zle_bracketed_paste
unsetopt beep prompt_sp prompt_cr
bindkey '^U' kill-buffer
LISTMAX=10000
autoload -Uz compinit && compinit -u -D
tell() { printf '%s\0' "$BUFFER" >> told }
zle -N tell
bindkey '^X^T' tell
eval "$(shmctl completion zsh)"
""",
    "fish": r"""
function fish_prompt; echo -n 'ready> '; end
function fish_greeting; end
function tell; commandline | read -z line; printf '%s\0' (string trim -r -c \n -- $line) >> told; end
bind \cx\ct tell
shmctl completion fish | source
""",
}


class Shell(Terminal):
    """A shell in ``folder``, which is its home, too, with no start-up file but ours."""

    def __init__(self, name: str, folder: Path, columns: int = 200) -> None:
        self.name = name
        self.told = folder / "told"
        start = folder / f"start.{name}"
        start.write_text(_TAKEN[name])
        argv = {
            "bash": ["bash", "--norc", "--noprofile", "-i"],
            "zsh": ["zsh", "-f", "-i"],
            "fish": ["fish", "--no-config", "-i"],
        }[name]
        env = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "XDG_DATA_HOME": str(folder / ".local/share"),
            "HISTFILE": "",
            "PATH": f"{SCRIPTS}:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        }
        super().__init__(["env", f"--chdir={folder}", *argv], columns, env)
        self.type(f" . ./start.{name}; echo star''ted\r".encode())
        self.until(rb"started\r\n(?s:.*)ready> ")

    def complete(self, line: str | bytes) -> bytes:
        """What a line has become after Tab; it is taken away again."""
        before = len(self._lines())
        self.type((line if isinstance(line, bytes) else line.encode()) + b"\t" + _TELL)
        deadline = time.monotonic() + TIMEOUT
        while len(lines := self._lines()) == before:
            assert time.monotonic() < deadline, self.shown
            self.look(0.01)
        self.type(b"\x15")
        return lines[-1]

    def run_completed(self, line: str | bytes) -> bytes:
        """What a line prints, if it is run after Tab."""
        output = self.told.with_name("output")
        output.unlink(missing_ok=True)
        self.type((line if isinstance(line, bytes) else line.encode()) + b"\t > output; echo r''an\r")
        self.until(rb"ran\r\n(?s:.*)ready> ")
        self.shown = b""
        return output.read_bytes()

    def _lines(self) -> list[bytes]:
        return self.told.read_bytes().split(b"\0")[:-1] if self.told.exists() else []
