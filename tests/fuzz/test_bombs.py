"""Small inputs that ask for much: memory, time, or a deep stack. Each ends soon, and with a sentence."""

import resource
import subprocess

import pytest

from tests.support import environment, path_of, shmctl_argv

SECONDS = 20
MEMORY = 1 << 30


def nested(opening: str, inner: str, closing: str, count: int) -> str:
    return opening * count + inner + closing * count


def numbered(template: str, count: int) -> str:
    return "".join(template.replace("@", str(number)) for number in range(count))


DECLARATIONS = {
    "a large array": "char a[4294967295]",
    "an array that overflows": "char a[4294967295][4294967295]",
    "gigabytes": "int a[2000000000]",
    "many dimensions": "char a" + "[1000]" * 90,
    "dimensions of 2": "int a" + "[2]" * 99,
    "deep structs": nested("struct {", "int a;", "} x;", 99),
    "very deep structs": nested("struct {", "int a;", "} x;", 9000),
    "parentheses": "int a[" + nested("(", "1", ")", 90) + "]",
    "many parentheses": "int a[" + nested("(", "1", ")", 30000) + "]",
    "minuses": "int a[" + "-" * 60000 + "1]",
    "complements": "int a[" + "~ " * 30000 + "1]",
    "additions": "int a[" + "1+" * 30000 + "1]",
    "conditions": "int a[" + nested("1?", "1", ":1", 3000) + "]",
    "a shift": "enum { A = 1<<(1<<30) } x",
    "a long number": "int a[" + "9" * 60000 + "]",
    "enumerators": "enum { " + numbered("A@,", 9000) + "} x",
    "declarators": "int " + numbered("a@,", 9000) + "z",
    "members": numbered("int a@;", 4000),
    "doublings": "struct t0 {int a;};"
    + "".join(f"struct t{n} {{ struct t{n - 1} x, y; }};" for n in range(1, 60)),
    "macros": "#define A0 x x\n"
    + "".join(f"#define A{n} A{n - 1} A{n - 1}\n" for n in range(1, 40))
    + "int A39;",
    "a macro in itself": "#define A(x) x x x x x x x x\nint A(A(A(A(A(A(A(A(A(a)))))))));",
    "pointers": "int " + "*" * 60000 + "a",
    "opened": "int " + "(" * 60000 + "a",
    "comments": "/*" * 60000,
    "quotes": '"' * 60000,
    "words": "a " * 60000,
    "attributes": "__attribute__((" * 6000,
    "pragmas": "#pragma pack(push)\n" * 5000 + "int a;",
    "ifs": "#if 1\n" * 9000 + "int a;",
    "an if in parentheses": "#if " + nested("(", "1", ")", 9000) + "\nint a;\n#endif",
    "an if with a shift": "#if 1<<(1<<40)\nint a;\n#endif",
    "an if with a power": "#if " + "9" * 4000 + "*" + "9" * 4000 + "\nint a;\n#endif",
    "newlines": "\n" * 60000 + "int a;",
    "continued lines": "\\\n" * 50000 + "int a;",
}  # fmt: skip
# NAME is an object of 100 bytes.
COMMANDS = {
    "read an endless header": ["read", "NAME", "--struct", "s", "--header", "/dev/zero"],
    "read a distant item": ["read", "NAME", "--struct", "int a[3]", "a[" + "9" * 5000 + "]"],
    "read a deep item": ["read", "NAME", "--struct", "int a[3]", "a" + "[0]" * 30000],
    "read a deep field": ["read", "NAME", "--struct", "int a[3]", "a." * 30000],
    "read many": ["read", "NAME", "--type", "int8", "-c", "9999999999999"],
    "read more": ["read", "NAME", "--type", "int8", "-c", "9" * 6000],
    "read a long type": ["read", "NAME", "--type", "unsigned " * 10000],
    "stat a wide format": ["stat", "NAME", "-f", "%999999999n"],
    "stat many wide ones": ["stat", "NAME", "-f", "%4096n" * 5000],
    "stat flags": ["stat", "NAME", "-f", "%" + "-#0" * 30000],
    "stat precision": ["stat", "NAME", "-f", "%." + "9" * 90000 + "X"],
    "ls stars": ["ls", "*" * 250],
    "ls stars and letters": ["ls", "*a" * 120],
    "rm stars and letters": ["rm", "-n", "*a*b" * 60],
    "ls columns": ["ls", "-o", "name," * 20000],
    "ls a long column": ["ls", "--sort", "n" * 90000],
    "write a fill past all": ["write", "NAME", "--fill", "z", "-n", "7E", "--grow"],
    "write the largest fill": ["write", "NAME", "--fill", "z", "-n", str(2**63 - 1), "--grow"],
    "write a long number": ["write", "NAME", "--type", "int", "9" * 90000],
    "write a long fraction": ["write", "NAME", "--type", "double", "9" * 90000],
    "write a large exponent": ["write", "NAME", "--type", "float", "1e" + "9" * 90000],
    "write many items": ["write", "NAME", "--struct", "int a[1000]", "a=" + "1," * 30000],
    "write odd hex": ["write", "NAME", "--hex", "0" * 100001],
    "wait a long number": ["wait", "NAME", "--type", "int", "== " + "9" * 90000],
    "wait spaces": ["wait", "NAME", "--type", "int", " " * 100000 + "x"],
    "wait words and spaces": ["wait", "NAME", "--struct", "int a", "a" * 50000 + " " * 50000 + "x"],
    "truncate far": ["truncate", "NAME", "-s", "9" * 90000],
    "chmod zeros": ["chmod", "0" * 90000 + "600", "NAME"],
    "chmod sevens": ["chmod", "7" * 90000, "NAME"],
    "chown far": ["chown", "9" * 90000, "NAME"],
    "sem value": ["sem", "create", "NAME", "--value", "9" * 90000],
    "no such command": ["n" * 90000],
    "no such option": ["ls", "--" + "n" * 90000],
    "target": ["-t", "9" * 90000, "ls"],
}  # fmt: skip
SCRIPTS = {
    "quotes": b"'" * 60001,
    "backslashes": b"\\" * 60001,
    "quoted words": b"ls " + b"''" * 60000,
    "an open quote after hashes": b"a#" * 300000 + b"'",
    "hashes and quotes": b"#'" * 300000,
    "words and hashes": b"ls " + b"a# " * 200000 + b"'",
    "a long line": b"\0" * (40 << 20),
    "empty lines": b"\n" * 300000,
    "itself": b"batch\n" * 1000,
}  # fmt: skip


@pytest.mark.parametrize("text", DECLARATIONS.values(), ids=DECLARATIONS.keys())
def test_declarations(name: str, text: str) -> None:
    ends_well(name, ["read", "NAME", "--struct", text])


@pytest.mark.parametrize("args", COMMANDS.values(), ids=COMMANDS.keys())
def test_command_lines(name: str, args: list[str]) -> None:
    ends_well(name, args)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts(name: str, script: bytes) -> None:
    ends_well(name, ["batch", "-k"], script)


def ends_well(name: str, args: list[str], stdin: bytes = b"") -> None:
    path_of(name).write_bytes(bytes(100))
    done = subprocess.run(
        shmctl_argv(*(name if word == "NAME" else word for word in args)),
        input=stdin, capture_output=True, timeout=SECONDS, env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    shown = (done.returncode, done.stderr[:300], done.stderr[-300:])
    assert done.returncode in (0, 1, 2), shown
    assert b"internal error" not in done.stderr and b"Traceback" not in done.stderr, shown
    assert done.returncode == 0 or done.stderr.startswith(b"shmctl: "), shown
    assert b"out of memory" not in done.stderr, shown
    # A sentence, not what it was about once more.
    assert len(done.stderr) < 3000 or args[0] == "batch", (len(done.stderr), *shown)
