"""Strategies for what stands on a command line: right, nearly right, and garbage."""

import click
from hypothesis import strategies as st

from shmctl.cli.group import COMMANDS, cli

Words = list[str]

LONG = "n" * 255
NAMES = [
    "/a", "a", "/dev/shm/a", "b", "c", "big", "sem.s", "s", "/sem.s", "sem.bad", "dir", "link", "fifo", "ü",
    "\udcff",
    " ", "-x", "-5", ".hidden", "*", "[a-c]", "?", "[", "[!", "**", LONG, LONG + "n", "sem." + "s" * 247,
        "", "/", ".",
    "..", "a/b", "//a", "/dev/shm", "/dev/shm/", "\n", "a\tb", "--", "psm_0123abcd", "roots", "readable",
    "writable", "new", "new2", "%n", "'", '"', "\\",
]  # fmt: skip
# No argument of a process has a NUL; bytes that are no UTF-8 come as surrogates.
garbage = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"),
        st.sampled_from("\udc80\udcff0123456789-+%/*.,:;[](){}= "),
    ),
    max_size=12,
)
numbers = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 7, 8, 31, 32, 63, 64, 99, 100, 4095, 4096, 65536, 2**31 - 1, 2**31,
        2**32 - 1, 2**32,
                     2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -1, -2**31, -2**63, -2**63 - 1]),
    st.integers(-300, 10000),
)  # fmt: skip


@st.composite
def sizes(draw: st.DrawFn) -> str:
    number = draw(
        st.one_of(
            numbers.map(str), st.sampled_from(["0x10", "0X1f", "010", "1.5", "1e3", "", "\uff10", "1_0"])
        )
    )
    return draw(st.sampled_from(["", "", "", "", "+", "-", "<", ">", "/", "%", " "])) + number + draw(
        st.sampled_from(["", "", "", "K", "KiB", "KB", "k", "M", "G", "T", "P", "E", "EB", "EiB", "Z", "B",
            "KK", " "])
    )  # fmt: skip


modes = st.one_of(
    st.sampled_from(
        ["600", "0644", "0o666", "0", "777", "7777", "10000", "0", "000", "-1", "rw", "8", "0x1", "u+x"]
    ),
    st.integers(-8, 0o20000).map(lambda mode: f"{mode:o}"),
)
durations = st.one_of(
    st.sampled_from(["0", "0.5", "30s", "10m", "2h", "3d", "-1", "1e999", "inf", "nan", "9" * 400, "1e-300",
        "", ".", "s",
                     "0x1", "1.5.5", "1 s", "999999999999d", "1e18"]),
    numbers.map(str),
)  # fmt: skip
SCALARS = [
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float", "double", "char",
    "bool", "short",
    "int", "long", "size_t", "unsigned char", "unsigned", "long long", "long double", "signed char",
    "uintptr_t", "void *",
    "unsigned int long", "pid_t", "void", "_Bool", "wchar_t", "char16_t", "float _Complex", "int128",
    "int *", "struct x",
]  # fmt: skip
scalars = st.one_of(st.sampled_from(SCALARS), st.sampled_from(SCALARS[:14]), garbage)
values = st.one_of(
    numbers.map(str),
    st.sampled_from(["0x1f", "0b11", "010", "1.5", "-0.0", "inf", "-inf", "nan", "1e400", "1e-400", "true",
        "false", "a",
                     "'a'", "''", "ab", "", " 1", "1 ", "\\n", "ü", "\udcff", "0x" + "f" * 300, "9" * 5000]),
    garbage,
)  # fmt: skip
FIELDS = ["a", "b", "c", "x", "y", "in", "s", "u", "a[0]", "a[1]", "a[-1]", "a[9999999999]", "a[0][0]",
    "s.a", "s.b[1]",
          "u.x", "a.", ".a", "a[", "a[]", "a]", "", "a[0", "a[*]", "s.s.s", "a b", "[0]", "tail"]  # fmt: skip
fields = st.one_of(st.sampled_from(FIELDS), garbage)
identifiers = st.one_of(
    st.sampled_from(["a", "b", "c", "x", "y", "s", "u", "in", "tail"]),
    st.sampled_from(["int", "struct", "__x", "1a", "", "ä", "a" * 300, "_", "return", "typedef", "a$"]),
)
constants = st.one_of(
    numbers.map(str),
    st.sampled_from(["1 << 3", "1 << 40", "(1ull << 63)", "sizeof(int)", "sizeof(struct s)", "~0",
        "~0u >> 28", "1 / 0",
                     "5 % 0", "1 ? 2 : 3", "'a'", "A", "A + 1", "((((1))))", "1 <<", "1 << -1", "1 << 64",
                         "0x7fffffff + 1",
                     "-2147483647 - 1", "08", "1.0", "(char)300", "1 == 1", "!0", "2 * 3 - 4", ""]),
)  # fmt: skip


def _declarators(name: str, size: str, bits: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [name, name, name, f"{name}[{size}]", f"{name}[{size}][2]", f"*{name}", f"{name}:{bits}",
            f"*{name}[{size}]",
         f"(*{name})(void)", f"(*{name})[{size}]", f"{name}[]", f":{bits}", f"{name} = {size}", f"**{name}",
             ""]
    )  # fmt: skip


@st.composite
def members(draw: st.DrawFn, depth: int = 0) -> str:
    """One member declaration."""
    name, size, bits = draw(identifiers), draw(constants), draw(constants)
    kind = draw(st.integers(0, 9 if depth < 3 else 5))
    if kind <= 5:
        specifier = draw(scalars if kind == 5 else st.sampled_from(SCALARS[:24]))
        qualifier = draw(
            st.sampled_from(["", "", "", "const ", "volatile ", "static ", "unsigned ", "_Atomic "])
        )
        return f"{qualifier}{specifier} {draw(_declarators(name, size, bits))};"
    attribute = draw(
        st.sampled_from(
            ["", "", "", " __attribute__((packed))", " __attribute__((aligned(8)))", " __attribute__("]
        )
    )
    if kind <= 8:
        body = " ".join(draw(st.lists(members(depth + 1), max_size=4)))
        tag = draw(st.sampled_from(["", "", "t", "t2", "s"]))
        keyword = draw(st.sampled_from(["struct", "struct", "union", "class"]))
        return f"{keyword} {tag} {{ {body} }}{attribute} {draw(_declarators(name, size, bits))};"
    items = ", ".join(
        draw(st.lists(st.sampled_from(["A", "B", f"C = {size}", f"D = {bits}", "A", "", "1"]), max_size=4))
    )
    return f"enum {draw(st.sampled_from(['', 'e']))} {{ {items} }} {name};"


@st.composite
def declarations(draw: st.DrawFn) -> str:
    """A structure: members, a whole typedef, a name, or what somebody broke."""
    body = " ".join(draw(st.lists(members(), min_size=0, max_size=5)))
    text: str = draw(
        st.sampled_from(
            [body, body, body, f"struct s {{ {body} }};", f"typedef struct {{ {body} }} t;",
                f"struct s {{ {body} }} x, y;",
             f"#pragma pack(1)\nstruct {{ {body} }};", f"#pragma pack(push, 2)\n{body}", f"/* {body}",
                 f"// {body}\nint a;",
             f"#define N 3\n{body}", f'#include "{body}"', f"typedef int t; {body} t z;",
             f"enum {{ A, B }}; {body}"]
        )
    )  # fmt: skip
    if draw(st.integers(0, 4)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(garbage) + text[at + draw(st.integers(0, 3)) :]
    return text


directives = st.builds(
    "%{}{}{}{}".format,
    st.sampled_from(["", "", "-", "0", "#", "+", " ", "'", "-0", "00"]),
    st.sampled_from(["", "", "5", "30", "4096", "4097", "999999999", "9" * 30]),
    st.sampled_from(["", "", ".", ".3", ".0", ".12", ".4097", "." + "9" * 30]),
    st.sampled_from(
        [*"aAbBCdDfFgGhiImnNorRsStTuUwWxXyYzZ%q", "Hd", "Ld", "Hr", "Lr", "H", "L", "", "ü", "Hs"]
    ),
)
formats = st.one_of(
    st.lists(st.one_of(directives, garbage), max_size=4).map("".join), st.sampled_from(["%", "%%", "", "%5"])
)
COLUMNS = [
    "name",
    "size",
    "mode",
    "owner",
    "kind",
    "verdict",
    "holders",
    "modified",
    "allocated",
    "inode",
    "group",
    "x",
    "",
]
columns = st.builds(
    lambda sign, names: sign + ",".join(names),
    st.sampled_from(["", "+", "++", ","]),
    st.lists(st.one_of(st.sampled_from(COLUMNS), garbage), max_size=3),
)
users = st.sampled_from(
    [
        "root",
        "nobody",
        "0",
        "65534",
        "4294967294",
        "4294967295",
        "99999999999",
        "",
        "-1",
        "nope",
        "ü",
        "\udcff",
    ]
)
owners = st.builds("{}{}{}".format, users, st.sampled_from(["", ":", ".", "::"]), users)
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&", "=", "", "<>", "&&"])
conditions = st.one_of(
    st.builds("{} {} {}".format, st.one_of(st.just(""), fields), operators, values), garbage
)  # fmt: skip
hexes = st.one_of(
    st.sampled_from(["00", "00ff", "0", "de ad be:ef", "zz", "", " ", "ff" * 300, "é"]), garbage
)
bytes_ = st.one_of(
    st.sampled_from(["0", "255", "256", "-1", "A", "0x41", "0o7", "0b1", "", "ab", "ü", "1_0"]), garbage
)
FILES = [
    "input",
    "empty",
    "header.h",
    "families",
    "missing",
    "/",
    ".",
    "/dev/null",
    "/dev/shm/a",
    "/dev/shm/big",
    "",
    "-",
    "/proc/self/mem",
]
files = st.sampled_from(FILES)
programs = st.sampled_from(
    [["/bin/true"], ["/bin/false"], ["/bin/true", "{}"], ["/not/there"], [""], ["/"], []]
)
names = st.one_of(st.sampled_from(NAMES[:8]), st.sampled_from(NAMES), garbage)

BY_METAVAR: dict[str, st.SearchStrategy[str]] = {
    "SIZE": sizes(), "[+|-|<|>|/|%]SIZE": sizes(), "OFFSET": sizes(), "LENGTH": sizes(),
        "COUNT": numbers.map(str),
    "N": numbers.map(str), "MODE": modes, "DURATION": durations, "TYPE": scalars, "DECL": declarations(),
        "FILE": files,
    "HEX": hexes, "BYTE": bytes_, "COLS": columns, "COL": columns, "USER": users, "OWNER[:GROUP]": owners,
    "FORMAT": formats, "PATTERN": names, "NAME": names, "PID": st.sampled_from(["1", "0", "-1", "99999999",
        "self", "2"]),
}  # fmt: skip
BY_PARAMETER: dict[str, st.SearchStrategy[str]] = {
    "mode": modes, "name": names, "names": names, "values": values, "fields": fields,
    "conditions": conditions,
    "pattern": names, "patterns": names, "ownership": owners, "script": st.just("-"),
}  # fmt: skip
# Some have no end of their own.
ENDLESS = {"--watch", "--listen", "--help", "--version"}
NOT_FUZZED = {"completion", "help"}


def _values_of(param: click.Parameter) -> st.SearchStrategy[str]:
    if isinstance(param.type, click.Choice):
        return st.one_of(st.sampled_from(list(param.type.choices)), garbage)
    if isinstance(param, click.Argument) and param.name in BY_PARAMETER:
        return BY_PARAMETER[param.name]
    return BY_METAVAR.get(str(param.metavar), garbage)


def _option(option: click.Option) -> st.SearchStrategy[Words]:
    flags = st.sampled_from([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return flags.map(lambda flag: [flag])
    values_of = _values_of(option)
    if option.metavar == "FILE" and "--output" in option.opts:
        values_of = st.sampled_from(["out", "dir/out", "/dev/full"])
    return st.builds(
        lambda flag, value, joined: [f"{flag}={value}"] if joined and flag.startswith("--") else [flag,
            value],
        flags, values_of, st.booleans(),
    )  # fmt: skip


def _arguments(param: click.Argument) -> st.SearchStrategy[Words]:
    if param.name == "argv":
        return programs.map(lambda argv: ["--", *argv])
    many = st.lists(_values_of(param), min_size=0 if not param.required else 1, max_size=3)
    # As many as there should be, mostly.
    return many if param.nargs == -1 else st.one_of(_values_of(param).map(lambda value: [value]), many)


def _commands() -> dict[str, tuple[Words, click.Command]]:
    """Every command and subcommand, by its words."""
    found: dict[str, tuple[Words, click.Command]] = {}
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            for sub in command.list_commands(context):
                found[f"{name} {sub}"] = ([name, sub], command.get_command(context, sub))  # type: ignore[assignment]
        elif name not in NOT_FUZZED:
            found[name] = ([name], command)
    return found


_ALL = _commands()
_OPTIONS = {
    name: [_option(p) for p in command.params if isinstance(p, click.Option) and not ENDLESS & set(p.opts)]
    for name, (_, command) in _ALL.items()
}
_ARGUMENTS = {
    name: [_arguments(p) for p in command.params if isinstance(p, click.Argument)]
    for name, (_, command) in _ALL.items()
}
# Whatever else is said, these come last, and so count.
_BOUNDS = {name: ["--timeout", "0.002"] for name in ("wait", "sem wait", "events")} | {
    "lock": ["--timeout", "0.01"]
}
# The processes of all the host take their time.
_RARE = {"run", "lock", "locks", "rescue", "holders", "df", "batch", "doctor", "metrics"}
_names_of_commands = st.one_of(
    st.sampled_from([name for name in _ALL if name not in _RARE]),
    st.sampled_from([name for name in _ALL if name not in _RARE]),
    st.sampled_from([name for name in _ALL if name not in _RARE]),
    st.sampled_from(list(_ALL)),
)
_global_options = st.one_of(
    *[st.just(list[str]())] * 8,
    st.sampled_from([["--trace"], ["--color", "always"], ["--color", "never"], ["-t", "1"], ["--target",
        "999999"],
                     ["--nope"], ["-t", "x"], ["--trace", "--color=always"]]),
)  # fmt: skip


objects = st.sampled_from(["/a", "a", "c", "big", "sem.s", "/b"])
offsets = st.sampled_from(["0", "0", "1", "3", "8", "96", "99", "100", "2999999"])
small = st.sampled_from(["0", "1", "2", "3", "10", "100", "4K"])
integers = st.sampled_from([*SCALARS[:8], "char", "bool", "short", "size_t"])
DECLARED = [  # a declaration, and paths that are in it, or might be
    ("int a; char b[4]; short c:3, :2, x:5;", ["a", "b", "b[1]", "c", "x", "b[4]", "d"]),
    ("struct { struct { int a; float b[2]; } s; union { long y; char x[8]; } u; }", ["s.a", "s.b[1]", "s",
        "u.x", "u.y"]),
    ("enum { A, B = 5 } a; unsigned b:1; _Bool c; double x[2][2];", ["a", "b", "c", "x[1][0]", "x[2][0]",
        "x"]),
    ("char tail[90]; void *x; int *y; char *s;", ["tail", "tail[89]", "x", "y", "s"]),
    ("typedef struct t { int a[3]; struct t *x; } t;", ["a", "a[0]", "a[2]", "x"]),
    ("int a[2000000000];", ["a[0]", "a[1999999999]", "a"]),
    ("", ["a"]),
]  # fmt: skip
struct_sources = st.one_of(
    st.sampled_from(DECLARED),
    st.sampled_from(DECLARED),
    declarations().map(lambda text: (text, FIELDS)),
    st.sampled_from([("s", ["a", "b[1]", "in.x"]), ("t", ["b", "in"]), ("N", ["a"])]),
)


def _flags(*flags: str) -> st.SearchStrategy[Words]:
    return st.lists(st.sampled_from(flags), max_size=2)


_READ = _flags("--json", "--lock", "--hex", "--text", "--raw", "-o8")
_WRITE = _flags("--lock", "--grow", "--exact", "--create", "-v", "-o8")
_WAIT = st.builds(lambda flags: ["--timeout", "0.002", *flags], _flags("--print", "--spin", "-o8"))
_WAIT_FOR_STATE = st.builds(lambda flag: ["--timeout", "0.002", flag], st.sampled_from(["--changed",
    "--unused", "--gone", "--spin"]))  # fmt: skip
_ENDIAN = st.sampled_from([[], [], ["--endian", "big"], ["--endian", "little"]])


def _form(
    command: str, *parts: "st.SearchStrategy[str] | st.SearchStrategy[Words] | str"
) -> st.SearchStrategy[Words]:
    """A command on an object; each part gives a word, or several."""
    drawn = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(objects, *drawn).map(
        lambda words: [
            command,
            *(each for word in words for each in ([word] if isinstance(word, str) else word)),
        ]
    )


@st.composite
def _struct_forms(draw: st.DrawFn) -> Words:
    """Reading, writing and waiting for fields, mostly those that are declared."""
    declaration, paths = draw(struct_sources)
    name, path = draw(objects), draw(st.sampled_from(paths))
    header = (
        ["--header", draw(st.sampled_from(["header.h", "missing", "/"]))]
        if declaration in ("s", "t", "N")
        else []
    )
    source = ["--struct", declaration, *header, "-o", draw(offsets)]
    match draw(st.integers(0, 3)):
        case 0:
            return ["read", name, *source, *draw(_READ)]
        case 1:
            return ["read", name, path, *source, *draw(_READ)]
        case 2:
            return ["write", name, *source, f"{path}={draw(values)}", *draw(_WRITE)]
    return ["wait", name, *source, f"{path} {draw(operators)} {draw(values)}", *draw(_WAIT)]


# Command lines whose parts go together, so that they get to the object.
coherent = st.one_of(
    _struct_forms(),
    _struct_forms(),
    _form("read", "-o", offsets, _READ),
    _form("read", "-o", offsets, "-n", sizes(), _READ),
    _form("read", "--type", scalars, "-o", offsets, "-c", small, _ENDIAN, _READ),
    _form("write", values, "-o", offsets, _WRITE),
    _form("write", "--type", integers, values, "7", "-o", offsets, _ENDIAN, _WRITE),
    _form("write", "--fill", bytes_, "-n", sizes(), _WRITE),
    _form("write", "--hex", hexes, "-o", offsets, _WRITE),
    _form("write", "-i", files, "-n", small, _WRITE),
    _form("write", _WRITE),
    _form("wait", "--type", integers, st.builds("{} {}".format, operators, values), _ENDIAN, _WAIT),
    _form("wait", _WAIT_FOR_STATE),
    _form("stat", "-f", formats),
    _form("stat", "--pages", "--json"),
    _form("ls", "-o", columns, "--sort", st.sampled_from(COLUMNS)),
    _form("create", "new", "--no-excl", "-s", sizes(), "-m", modes, _flags("--reserve", "--trunc")),
    _form("truncate", "-s", sizes()),
)


@st.composite
def command_lines(draw: st.DrawFn, nested: bool = False) -> Words:
    """The words after ``shmctl``; ``nested`` ones run no other program and no batch."""
    if draw(st.booleans()):
        return [*draw(_global_options), *draw(coherent)]
    name = draw(_names_of_commands)
    if nested and name in _RARE:
        name = "ls"
    if name == "batch" and draw(st.booleans()):
        return ["batch", "--keep-going"]
    words, _ = _ALL[name]
    options = (
        [draw(option) for option in draw(st.lists(st.sampled_from(_OPTIONS[name]), max_size=4))]
        if _OPTIONS[name]
        else []
    )
    arguments = [draw(argument) for argument in _ARGUMENTS[name]]
    parts = draw(st.permutations(options + arguments)) if name not in ("run", "lock") else options + arguments
    bounds = _BOUNDS.get(name, [])
    line = [word for part in parts for word in part]
    if name in ("run", "lock"):
        end = line.index("--")
        return [*draw(_global_options), *words, *line[:end], *bounds, *line[end:]]
    if draw(st.integers(0, 9)) == 0:
        line.insert(
            draw(st.integers(0, len(line))),
            draw(st.one_of(garbage, st.sampled_from(["--", "-h", "-vv", "--json", "-"]))),
        )
    if "--" in line and bounds:
        line.remove("--")
    return [*draw(_global_options), *words, *bounds, *line, *([] if "--" in line else bounds)]


def _quoted(word: str) -> st.SearchStrategy[str]:
    import shlex

    return st.sampled_from(
        [shlex.quote(word), shlex.quote(word), word, f'"{word}"', f"'{word}'", word.replace(" ", "\\ ")]
    )


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """What ``batch`` reads."""
    lines = []
    for words in draw(st.lists(command_lines(nested=True), max_size=5)):
        lines.append(" ".join([draw(_quoted(word)) for word in words]))
    lines += draw(st.lists(st.one_of(garbage, st.sampled_from(["# comment", "", "batch", "batch -", "'",
        '"\\', "ls # x", "exit", "help", "x" * 5000, "ls \\"])), max_size=2))  # fmt: skip
    return "\n".join(draw(st.permutations(lines)))


@st.composite
def family_files(draw: st.DrawFn) -> str:
    """A families.toml, or something like it."""
    patterns = st.sampled_from(["a", "a.*", "(?P<pid>[0-9]+)", "x(?P<pid>[0-9]+)", "(?P<set>.+)_el", "[",
        "(", "", ".*", "(?P<x>a)",
                                "a{999999999999}", "(a+)+b", "\\\\d", "\\u0001",
                                    "\\", "é", "(?i)A"])  # fmt: skip
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        lines.append(
            draw(st.sampled_from(["[[family]]", "[[family]]", "[[family]]", "[family]", "[[families]]", ""]))
        )
        match = ", ".join(f'"{pattern}"' for pattern in draw(st.lists(patterns, max_size=3)))
        keys = [
            draw(
                st.sampled_from(
                    ['software = "S"', "software = 1", 'software = ""', 'softwere = "S"', "software = '''x"]
                )
            ),
            draw(
                st.sampled_from(
                    [
                        f"match = [{match}]",
                        f"match = [{match}]",
                        'match = "a"',
                        "match = [1]",
                        "match = [",
                        "match = []",
                    ]
                )
            ),
            draw(
                st.sampled_from(
                    [f'lifetime = "{word}"' for word in ("users", "creator", "persistent", "kept", "")]
                    + ["lifetime = 1", "tracker = 1", "tracker = 'x.'"]
                )
            ),
            draw(
                st.sampled_from(
                    [
                        'source = "u"',
                        "checked = true",
                        "checked = 1",
                        "",
                        "# comment",
                        "a.b.c = 1",
                        "checked = true # é",
                    ]
                )
            ),
        ]
        lines += draw(st.permutations(keys))
    text: str = "\n".join(lines)
    if draw(st.integers(0, 3)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(garbage) + text[at + draw(st.integers(0, 3)) :]
    return text
