#!/usr/bin/env python3
"""Write what gets installed beside the program: man/generate.py (with shmctl importable) makes it anew.

That is the manual pages (man/man1, man5, man7) and the completion scripts (completions/).

What the commands know of themselves (synopsis, options, help) comes from
them; the rest is in man/src/PAGE.md, a small part of Markdown: ``# SECTION``,
``## OPTION`` (words that go with one option; ``## SUBCOMMAND --option`` in
the page of a command that has subcommands), paragraphs, ```` ``` ````
fences, lists of ``- `` and ``1. `` items, and of a `` `term` `` line with
``:   text`` below, `` `code` ``, ``*variable*``, and references such as ls(1).

``@COLUMNS@`` stands for the table of the listing's columns.

A new command needs its man/src/NAME.md. What belongs to no one command has a
page in section 5 or 7, all of it from man/src/PAGE.SECTION.md, and a row in
TOPICS.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from shmctl import __version__
from shmctl.cli.completion.shells import SHELLS, script
from shmctl.cli.group import COMMANDS, cli
from shmctl.render.listing import MEANINGS

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
ROOT = HERE.parent
COMPLETIONS = {
    "bash": "completions/shmctl.bash",
    "zsh": "completions/_shmctl",
    "fish": "completions/shmctl.fish",
}
# The date on the pages until CHANGELOG.md has a release with a date.
FIRST_DATE = "2026-11-23"
FIRST_SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS")
LAST_SECTIONS = ("EXIT STATUS", "ERRORS", "EXAMPLES", "SEE ALSO")

# File formats and matters that several commands share: the page's file, and what it tells.
TOPICS = {
    "shmctl.5": "families files: which software makes which shared memory objects",
    "shmctl.7": "the words of POSIX shared memory: a glossary",
    "shmctl-leaks.7": "how shmctl tells leaked shared memory objects from those in use",
    "shmctl-struct.7": "declarations of C structures, and how they are laid out in shared memory",
}

Sections = dict[str, list[str]]


def pages() -> dict[str, str]:
    """The text of each page that has a source, by its file name."""
    with click.Context(cli, info_name="shmctl", **cli.context_settings) as root:
        made = {"shmctl.1": _page("shmctl", cli, root, "work with POSIX shared memory: objects in /dev/shm")}
        for name, summary in COMMANDS.items():
            if not (SOURCES / f"{name}.md").exists():
                continue
            command = cli.get_command(root, name) or sys.exit(f"no command {name}")
            context = click.Context(command, info_name=name, parent=root)
            shown = summary[:1].lower() + summary[1:].removesuffix(".")
            made[f"shmctl-{name}.1"] = _page(f"shmctl-{name}", command, context, shown)
    return made | {name: _topic(name, summary) for name, summary in TOPICS.items()}


def _topic(file_name: str, summary: str) -> str:
    """A page that belongs to no one command."""
    title, _, section = file_name.rpartition(".")
    sections = {"NAME": [f"{_escape(title, code=True)} \\- {_inline(summary)}"]}
    sections |= {name: list(_blocks(lines)) for name, lines in _read_source(file_name).items()}
    return _assembled(title, section, file_name, sections)


def _assembled(title: str, section: str, source: str, sections: Sections) -> str:
    head = [
        f'.\\" Made by man/generate.py from man/src/{source}.md.',
        f'.TH {_escape(title.upper(), code=True)} {section} {_date()} "shmctl {__version__}" "shmctl manual"',
    ]
    body = [line for name, lines in sections.items() for line in (f'.SH "{name}"', *_trimmed(lines))]
    return "\n".join(head + body) + "\n"


def _page(title: str, command: click.Command, context: click.Context, summary: str) -> str:
    source = _read_source(title.removeprefix("shmctl-"))
    description = [*_help_paragraphs(command), "", *source.pop("DESCRIPTION", [])]
    sections = {
        "NAME": [f"{_escape(title, code=True)} \\- {_inline(summary)}"],
        "SYNOPSIS": list(_synopsis(command, context)),
        "DESCRIPTION": list(_blocks(description)),
    }
    subcommands = _subcommands(command, context)
    if isinstance(command, click.Group):
        sections["COMMANDS"] = list(_commands() if command is cli else _subcommand_help(subcommands))
    sections["OPTIONS"] = list(_options(command, context, source))
    for inner, inner_context in subcommands:
        if options := list(_options(inner, inner_context, source, prefix=f"{inner.name} ")):
            sections["OPTIONS"] += [f'.SS "Options of {_escape(inner_context.command_path)}"', *options]
    closing = {name: source.pop(name) for name in LAST_SECTIONS if name in source}
    statuses = (SOURCES / "exit-status.txt").read_text().splitlines()
    closing["EXIT STATUS"] = [*closing.get("EXIT STATUS", []), "", *statuses]
    unknown = [name for name in source if name.split()[-1].startswith("-")]
    if unknown:
        raise SystemExit(f"man/src: {title} has no option {', '.join(unknown)}")
    sections |= {name: list(_blocks(lines)) for name, lines in source.items()}
    sections |= {name: list(_blocks(closing[name])) for name in LAST_SECTIONS if name in closing}
    return _assembled(title, "1", title.removeprefix("shmctl-"), sections)


def _date() -> str:
    """The date of the newest release."""
    changes = (HERE.parent / "CHANGELOG.md").read_text()
    released = re.search(r"^## \[[0-9][^]]*\] - (\d{4}-\d\d-\d\d)", changes, re.M)
    return released[1] if released else FIRST_DATE


def _read_source(name: str) -> Sections:
    """The sections of man/src/NAME.md; ``##`` ones, for options, beside the others."""
    sections: Sections = {}
    lines: list[str] = []
    in_fence = False
    for line in (SOURCES / f"{name}.md").read_text().replace("@COLUMNS@", _columns()).splitlines():
        in_fence ^= line.startswith("```")
        if line.startswith("#") and not in_fence:
            lines = sections.setdefault(line.lstrip("# "), [])
        else:
            lines.append(line)
    return sections


def _columns() -> str:
    """The columns of the listing, as a definition list."""
    return "\n\n".join(f"`{column}`\n:   {meaning}" for column, meaning in MEANINGS.items())


def _help_paragraphs(command: click.Command) -> list[str]:
    return (command.help or sys.exit(f"{command.name} has no help")).replace("\f", "").splitlines()


def _subcommands(command: click.Command, context: click.Context) -> list[tuple[click.Command, click.Context]]:
    """What stands below a command, as ``create`` below ``sem``; shmctl's own commands have pages instead."""
    if not isinstance(command, click.Group) or command is cli:
        return []
    inner = list(command.commands.values())
    return [(one, click.Context(one, info_name=one.name, parent=context)) for one in inner]


def _subcommand_help(subcommands: list[tuple[click.Command, click.Context]]) -> Iterator[str]:
    for command, context in subcommands:
        yield ".TP"
        yield " ".join(_synopsis(command, context))
        yield from _text(" ".join(_help_paragraphs(command)))


def _synopsis(command: click.Command, context: click.Context) -> Iterator[str]:
    if subcommands := _subcommands(command, context):
        for number, (inner, inner_context) in enumerate(subcommands):
            yield from ([".br"] if number else [])
            yield from _synopsis(inner, inner_context)
        return
    yield f"\\fB{_escape(context.command_path, code=True)}\\fR"
    if isinstance(command, click.Group):
        yield "[\\fIglobal option\\fR ...] \\fIcommand\\fR [\\fIargument\\fR ...]"
        return
    for param in command.params:
        if isinstance(param, click.Option):
            words = " | ".join(_spelling(s, param, context) for s in (*param.opts[:1], *param.secondary_opts))
            yield words if param.required else f"[{words}]"
    for param in command.params:
        if isinstance(param, click.Argument):
            yield _metavar(param.make_metavar(context))


def _metavar(text: str) -> str:
    """``[FIELD]...`` with the word in italics."""
    text = _escape(text, code=True).replace("...", " ...")
    return re.sub(r"[A-Z]+(?:\\-(?:or\\-)?[A-Z]+)*", lambda match: f"\\fI{match[0]}\\fR", text)


def _spelling(opt: str, param: click.Option, context: click.Context) -> str:
    """An option, and what it takes."""
    flag = f"\\fB{_escape(opt, code=True)}\\fR"
    if param.is_flag:
        return flag
    joint = "=" if opt.startswith("--") else " "
    if isinstance(param.type, click.Choice) and param.metavar is None:
        return flag + joint + "|".join(f"\\fB{_escape(c, code=True)}\\fR" for c in param.type.choices)
    return f"{flag}{joint}\\fI{_escape(param.make_metavar(context), code=True)}\\fR"


def _options(
    command: click.Command, context: click.Context, source: Sections, prefix: str = ""
) -> Iterator[str]:
    for param in command.params if prefix else command.get_params(context):
        if not isinstance(param, click.Option):
            continue
        yield ".TP"
        yield ", ".join(_spelling(opt, param, context) for opt in (*param.opts, *param.secondary_opts))
        yield from _text(param.help or sys.exit(f"{context.command_path} {param.opts[0]} has no help"))
        more = [line for opt in param.opts for line in source.pop(prefix + opt, [])]
        yield from _blocks(more, paragraph=".IP")


def _commands() -> Iterator[str]:
    for name, summary in COMMANDS.items():
        yield ".TP"
        yield f"\\fBshmctl\\-{name}\\fR(1)"
        yield from _text(summary)


_ITEM = re.compile(r"(-|[1-9]\.) ")


def _blocks(lines: list[str], paragraph: str = ".PP") -> Iterator[str]:
    """Paragraphs, definition lists and fences as roff."""
    plain: list[str] = []
    fence: list[str] | None = None
    for line in lines:
        if line.startswith("```"):
            if fence is None:
                yield from _paragraphs(plain, paragraph)
                plain, fence = [], []
            else:
                yield from (paragraph, ".RS 4", ".EX", *map(_code_line, fence), ".EE", ".RE")
                fence = None
        else:
            (plain if fence is None else fence).append(line)
    yield from _paragraphs(plain, paragraph)


def _paragraphs(lines: list[str], paragraph: str) -> Iterator[str]:
    """Paragraphs and definition lists as roff."""
    words: list[str] = []
    opening = paragraph
    in_definition = False
    for line in [*lines, ""]:
        item = _ITEM.match(line)
        if not line.strip() or item:
            if words:
                yield from _text(" ".join(words)) if in_definition else (opening, *_text(" ".join(words)))
            words, opening, in_definition = [], paragraph, False
        if item:
            opening = ".IP \\(bu 2" if item[1] == "-" else f".IP {item[1]} 3"
            words.append(line[item.end() :])
        elif line.startswith(":   "):
            yield ".TP"
            yield _inline(" ".join(words))
            words, in_definition = [line[4:]], True
        elif line.strip():
            words.append(line.strip())


def _trimmed(lines: list[str]) -> list[str]:
    """Without the paragraph mark that a section's heading makes superfluous."""
    return lines[1:] if lines[:1] == [".PP"] else lines


def _text(text: str) -> Iterator[str]:
    """A paragraph: one sentence a line, as manual pages have it, so that spaces after them come out right."""
    for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z`])", " ".join(text.split())):
        yield _guarded(_inline(sentence))


def _code_line(line: str) -> str:
    return _guarded(_escape(line, code=True))


def _guarded(line: str) -> str:
    """A line that begins like a request is text all the same."""
    return "\\&" + line if line.startswith((".", "'")) else line


_MARKUP = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\*(?P<variable>[A-Za-z]+)\*"
    r"|(?<![\w/-])(?P<page>[a-z_][\w-]*)\((?P<section>[1-9])\)"
    r"|(?<![\w-])(?P<option>--?[a-z0][a-z-]*)(?![\w])"
)


def _inline(text: str) -> str:
    """Prose, with what stands out in bold or italics."""
    made = []
    at = 0
    for match in _MARKUP.finditer(text):
        made.append(_escape(text[at : match.start()]))
        at = match.end()
        if match["variable"]:
            made.append(f"\\fI{match['variable']}\\fR")
        elif match["page"]:
            made.append(f"\\fB{_escape(match['page'], code=True)}\\fR({match['section']})")
        else:
            made.append(f"\\fB{_escape(match['code'] or match['option'], code=True)}\\fR")
    return "".join(made) + _escape(text[at:])


def _escape(text: str, *, code: bool = False) -> str:
    """Characters that roff would take for something else; in ``code``, hyphens that can be copied."""
    text = text.replace("\\", "\\e")
    for character, roff in (("'", "\\(aq"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(character, roff)
    return text.replace("-", "\\-") if code else text


def files() -> dict[str, str]:
    """Each generated file's text, by its path in the tree."""
    made = {f"man/man{name.rpartition('.')[2]}/{name}": text for name, text in pages().items()}
    return made | {COMPLETIONS[shell]: script(cli, shell) for shell in SHELLS}


def generated_files() -> list[Path]:
    """The files that stand where generated ones do."""
    return [*ROOT.glob("man/man*/*"), *ROOT.glob("completions/*")]


def main() -> None:
    """Write every file, and remove those that nothing makes any more; status 1 if a command has no page."""
    made = files()
    for path in generated_files():
        if str(path.relative_to(ROOT)) not in made:
            path.unlink()
    for name, text in made.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text)
    missing = [f"man/src/{name}.md is missing" for name in COMMANDS if not (SOURCES / f"{name}.md").exists()]
    if missing:
        sys.exit("\n".join(missing))


if __name__ == "__main__":
    main()
