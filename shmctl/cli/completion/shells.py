"""How bash, zsh and fish ask for completions, and get them: click's protocol, made safe for any name.

The scripts hand over what was typed as arguments of a process whose
environment has ``_SHMCTL_COMPLETE``, and get back bytes. zsh and fish take
quotes off and put them on by themselves; for bash that is done here.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import ClassVar

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, get_completion_class

from shmctl.cli.completion import bashline
from shmctl.cli.completion.candidates import COMMAND, PARTIAL

VARIABLE = "_SHMCTL_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "shmctl"


def script(group: click.Command, shell: str) -> str:
    """What ``shell`` has to read for completion to work."""
    return _protocol(group, shell).source().lstrip("\n")


def answer(group: click.Command, instruction: str) -> int:
    """Write what may stand where the cursor is; ``instruction`` is ``bash_complete`` and the like.

    Returns the exit status. Whatever goes wrong, nothing is said: the user is in the middle of a line.
    """
    shell, _, wanted = instruction.partition("_")
    if shell not in SHELLS or wanted != "complete":
        return 2
    try:
        text = _protocol(group, shell).complete()
    except Exception:
        return 1
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.flush()
    return 0


def candidates(
    group: click.Command, words: Sequence[str], incomplete: str, session: object = None
) -> list[CompletionItem]:
    """What may complete ``incomplete`` after ``words``, all without quotes; each is the whole word.

    ``session`` is what the commands run in, where that is not a process of its own.
    """
    protocol = ShellComplete(group, {"obj": session}, _PROGRAM, VARIABLE)
    # In --owner=ro click completes ro.
    head = incomplete[: incomplete.find("=") + 1] if incomplete.startswith("-") else ""
    items = protocol.get_completions(list(words), incomplete)
    for item in items:
        if item.type in ("plain", PARTIAL):
            item.value = head + item.value
    return items


def _protocol(group: click.Command, shell: str) -> ShellComplete:
    protocol = get_completion_class(shell)
    assert protocol is not None  # noqa: S101 - for the type checker: SHELLS are registered below
    return protocol(group, {}, _PROGRAM, VARIABLE)


class Bash(ShellComplete):
    """bash 4.4 or newer: ``type,word`` with a NUL after each, the word as it has to stand on the line."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = r"""
%(complete_func)s() {
    local item reply
    COMPREPLY=()
    mapfile -d '' -t reply < <(
        export %(complete_var)s=bash_complete
        "${1/#~\//$HOME/}" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null
    )
    for item in "${reply[@]}"; do
        case $item in
            plain,*) COMPREPLY+=("${item#*,}") ;;
            partial,*) COMPREPLY+=("${item#*,}"); compopt -o nospace ;;
            file,*) compopt -o default ;;
            command,*) mapfile -t COMPREPLY < <(compgen -c -- "${item#*,}"); compopt -o default ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def complete(self) -> str:
        """What may stand there; of a file or a program, what was typed of it."""
        line, breaks = sys.argv[1:3]
        *words, current = bashline.parse(line, breaks)
        items = []
        for item in candidates(self.cli, [word.text for word in words[1:]], current.text):
            value = item.value if item.type in ("file", COMMAND) else current.completed(item.value)
            if value is not None:
                items.append(f"{item.type},{value}\0")
        return "".join(items)


class _Dequoted(ShellComplete):
    """A shell that hands over words without quotes, and takes NUL-separated triples: type, word, help."""

    def complete(self) -> str:
        """Three texts for each item, with a NUL after each."""
        *words, current = sys.argv[1:] or [""]
        items = candidates(self.cli, words, current)
        return "".join(f"{text}\0" for item in self.usable(items) for text in self.fields(item))

    def usable(self, items: Iterable[CompletionItem]) -> Iterable[CompletionItem]:
        """What the shell can take."""
        return items

    def fields(self, item: CompletionItem) -> tuple[str, str, str]:
        """Type, word and help of an item."""
        return item.type, item.value, " ".join((item.help or "").split())


class Zsh(_Dequoted):
    """zsh: matching and quoting are its own."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = r"""#compdef %(prog_name)s

%(complete_func)s() {
    local program=${~words[1]} current=${(Q)PREFIX} kind word help shown
    local -a reply plain plain_shown partial partial_shown
    local -i width=0
    [[ -n ${commands[$program]} || -x $program ]] || program=%(prog_name)s
    case $QIPREFIX in
        (*\$\') current=${(Q):-"\$'$PREFIX'"} ;;
        (*\') current=$PREFIX ;;
        (*\") current=${(Q):-"\"$PREFIX\""} ;;
    esac
    reply=("${(@0)$(
        export %(complete_var)s=zsh_complete
        $program "${(@Q)words[2,CURRENT-1]}" "$current" 2>/dev/null
    )}")
    for kind word help in "${reply[@]}"; do
        (( ${(m)#${(V)word}} > width )) && width=${(m)#${(V)word}}
    done
    for kind word help in "${reply[@]}"; do
        shown=${(V)word}
        [[ -n $help ]] && shown="${(mr:width:)shown}  -- $help"
        # Inside quotes zsh puts in a byte that is not UTF-8 in a way that means something else.
        [[ -n $QIPREFIX && ${(V)word} == *\\M-* ]] && continue
        case $kind in
            (plain) plain+=("$word"); plain_shown+=("$shown") ;;
            (partial) partial+=("$word"); partial_shown+=("$shown") ;;
            (file) compset -P '--*='; _files ;;
            (command) _command_names -e ;;
        esac
    done
    (( $#plain )) && compadd -l -V %(prog_name)s -d plain_shown -a plain
    (( $#partial )) && compadd -S '' -l -V %(prog_name)s -d partial_shown -a partial
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class Fish(_Dequoted):
    """fish: it splits off the help at the first tab, so a name that has one cannot be completed."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = r"""function %(complete_func)s
    set -l words (commandline -opc)
    set -l raw (commandline -ct)
    set -l current $raw
    for quote in '' \' '"'
        if set -l text (string unescape -- "$raw$quote")
            set current $text
            break
        end
    end
    set -l reply (%(complete_var)s=fish_complete $words "$current" 2>/dev/null | string split0)
    for at in (seq 1 3 (count $reply))
        set -l word $reply[(math $at + 1)]
        set -l help $reply[(math $at + 2)]
        switch $reply[$at]
            case file
                set -l option (string match -r -- '^--[^=]*=' "$current")
                set -l paths (__fish_complete_path (string replace -- "$option" '' "$current"))
                string replace -r -- '^' "$option" $paths | string join0
            case command
                complete -C "$raw" | string join0
            case '*'
                printf '%%s\t%%s\0' "$word" "$help"
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s | string split0)'
"""

    def usable(self, items: Iterable[CompletionItem]) -> Iterable[CompletionItem]:
        """All but those with a tab."""
        return (item for item in items if "\t" not in item.value)


for _protocol_class in (Bash, Zsh, Fish):
    add_completion_class(_protocol_class)
