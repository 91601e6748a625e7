"""What holds for the whole tree: which way imports go, what start-up may load, one source for one fact."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import shmctl
from shmctl.cli.group import COMMANDS, cli
from shmctl.cli.options import Combine
from tests.support import Result, done, run_command

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "shmctl"
SCRIPTS = Path(sys.executable).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def imports_of(path: Path) -> set[str]:
    """The top-level names of all that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def importers(*modules: str, below: str = "") -> set[str]:
    files = (PACKAGE / below).rglob("*.py")
    return {str(path.relative_to(PACKAGE)) for path in files if imports_of(path) & set(modules)}


def commands() -> list[tuple[str, click.Command]]:
    with click.Context(cli, info_name="shmctl") as root:
        return [(name, command) for name in COMMANDS if (command := cli.get_command(root, name))]


# Which way imports go


def test_layers_hold() -> None:
    # Its warnings are its own business.
    result = run_command([str(SCRIPTS / "lint-imports"), "--no-cache"], env={"PYTHONWARNINGS": "default"})
    assert result.status == 0, result.text + result.errors


def test_shared_memory_is_touched_in_one_file() -> None:
    assert importers("posix_ipc") == {"core/posix.py"}
    # A program of its own, which imports nothing of shmctl.
    assert importers("mmap") == {"core/posix.py", "core/sync/semaphore_helper.py"}


# Paths of /proc that are not read: the kernel is given them as names of open descriptors.
NAMES_OF_DESCRIPTORS = {
    "core/models.py",
    "core/posix.py",
    "core/inspect/doctor/host.py",
}


def test_proc_is_read_in_one_file() -> None:
    """No other has a path that begins there, whatever it is given to."""
    found = {
        str(path.relative_to(PACKAGE)): text
        for path in PACKAGE.rglob("*.py")
        for text in texts_of(path)
        if re.match(r"/proc/", text)
    }
    assert found.keys() == NAMES_OF_DESCRIPTORS | {"core/proc.py"}
    assert all(found[file].startswith("/proc/self/fd") for file in NAMES_OF_DESCRIPTORS)


def texts_of(path: Path) -> set[str]:
    """The constant texts and bytes of a file, also within f-strings, with no white space in them."""
    constants = {
        node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)
    }
    texts = {value for value in constants if isinstance(value, str)}
    texts |= {value.decode("latin-1") for value in constants if isinstance(value, bytes)}
    return {text for text in texts if not re.search(r"\s", text)}


def test_core_knows_no_command_line_and_no_terminal() -> None:
    assert importers("click", "rich", below="core") == set()


def test_click_is_used_by_its_public_api() -> None:
    """Of what its modules hold beside that, each version changes something. Private attributes ruff finds."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "click":
                assert node.module == "click.shell_completion", path
                assert not any(alias.name.startswith("_") for alias in node.names), path
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("click.") for alias in node.names), path


TOUCH_ALL = "for names in shmctl._HOMES.values():\n    for name in names: getattr(shmctl, name)"


@pytest.mark.parametrize("use", ["", "shmctl.create", TOUCH_ALL])
def test_the_library_never_imports_the_command_line(use: str) -> None:
    loaded = modules_after(f"import sys, shmctl\n{use}")
    assert not loaded & {"click", "rich", "shmctl.cli", "shmctl.commands", "shmctl.render"}
    assert ("shmctl.api.memory" in loaded) == bool(use)


def test_importing_the_library_loads_nothing_else() -> None:
    """The command imports it, too; so does every program that never gets to the point of using it."""
    idle = modules_after("import sys")
    assert modules_after("import sys, shmctl") - idle == {"shmctl"}


def test_the_library_has_one_list_of_names() -> None:
    """They stand in its list, in the table of where they live, and, for type checkers, in imports."""
    homes = {name: f"shmctl.{home}" for home, names in shmctl._HOMES.items() for name in names}
    assert sorted(set(homes) - {"list", "open"}) == sorted(shmctl.__all__), "import * hides Python's own"
    imports = {
        alias.name: node.module
        for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("shmctl")
        for alias in node.names
    }
    assert imports == homes
    assert set(homes) <= set(dir(shmctl))
    for name in homes:
        assert getattr(shmctl, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(shmctl, "nothing")  # noqa: B009 - mypy would refuse the attribute


# One source for one fact


def test_every_command_is_in_the_table_and_has_a_file() -> None:
    files = {path.stem for path in (PACKAGE / "commands").glob("*.py")} - {"__init__"}
    assert files == set(COMMANDS)
    assert [name for name, _ in commands()] == list(COMMANDS)


def test_summaries_are_the_first_line_of_each_help() -> None:
    for name, command in commands():
        assert command.help is not None
        assert command.help.splitlines()[0] == COMMANDS[name]


def help_lines(*words: str) -> list[str]:
    return run_command([str(SCRIPTS / "shmctl"), *words, "--help"], env={"COLUMNS": "80"}).text.splitlines()


def test_help_fits_the_screen() -> None:
    """The seven verbs stand on the first 24 lines; a command's help has 45 at most, of 80 columns."""
    first = "\n".join(help_lines()[:24])
    for verb in ("create", "truncate", "write", "read", "stat", "ls", "unlink"):
        assert re.search(rf"^  {verb} ", first, re.M), first
    for name, _ in [("", cli), *all_commands()]:
        lines = help_lines(*name.split())
        assert not name or len(lines) <= 45, name
        assert max(map(len, lines)) <= 80, name


def test_every_option_has_help_and_every_short_one_a_long_twin() -> None:
    for name, command in [("shmctl", cli), *commands()]:
        for option in command.get_params(click.Context(command)):
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.opts}"
                assert any(opt.startswith("--") for opt in option.opts), f"{name} {option.opts}"


def test_a_short_option_means_the_same_wherever_it_may() -> None:
    """Two meanings exist by contract, after the tools that people know; no third one comes in unseen."""
    meanings: dict[str, set[str]] = {}
    for _, command in commands():
        for option in command.params:
            short = [opt for opt in option.opts if isinstance(option, click.Option) and opt[1] != "-"]
            for opt in short:
                meanings.setdefault(opt, set()).add(next(o for o in option.opts if o.startswith("--")))
    assert {short: names for short, names in meanings.items() if len(names) > 1} == {
        "-c": {"--count", "--format"},  # the last as in stat(1)
        "-f": {"--format", "--force"},
        "-i": {"--input", "--interactive"},
        "-n": {"--length", "--dry-run", "--nonblock"},  # the last as in flock(1), and so below
        "-o": {"--offset", "--columns", "--close"},
        "-s": {"--size", "--shared"},
    }


def all_commands() -> list[tuple[str, click.Command]]:
    """Commands, and those of groups."""
    found = []
    for name, command in commands():
        inner = command.commands if isinstance(command, click.Group) else {}
        found += [(name, command), *((f"{name} {each}", inner[each]) for each in inner)]
    return found


def test_a_rule_names_parameters_and_a_group_has_them() -> None:
    """A name that no parameter has would never be given, and its rule never be broken."""
    finishes = [(name, getattr(found, "finish", None)) for name, found in all_commands()]
    combining = [(name, finish) for name, finish in finishes if finish]
    assert {"create", "read", "sem wait", "stat", "wait", "write"} <= {name for name, _ in combining}
    for name, finish in combining:
        command = dict(all_commands())[name]
        assert isinstance(finish, Combine)
        parameters = {param.name for param in command.params}
        values = {getattr(param, "flag_value", None) for param in command.params}
        for term in (term for rule in finish.rules for term in rule.terms):
            parameter, equals, value = term.partition("=")
            assert parameter in parameters, f"{name}: {term}"
            assert not equals or value in values, f"{name}: {term}"
        grouped = {field for group in finish.groups.values() for field in group._fields}
        assert grouped <= parameters | set(finish.groups), name


def test_options_are_handed_on_typed() -> None:
    untyped = [
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef)
        for arg in [*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.kwarg])]
        if arg.arg == "options" and "Any" in ast.unparse(arg.annotation or ast.Name("Any"))
    ]
    assert untyped == []


def test_every_command_is_in_the_changelog() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert [name for name in COMMANDS if not re.search(rf"`{name}[` ]", changes)] == []


def test_version_has_one_source() -> None:
    version = shmctl.__version__
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["tool"]["hatch"]["version"] == {"path": "shmctl/__init__.py"}
    mentions = [path for path in PACKAGE.rglob("*.py") if f'"{version}"' in path.read_text()]
    assert mentions == [PACKAGE / "__init__.py"]
    assert done("--version") == f"shmctl {version}\n"


def test_package_tells_type_checkers_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


# Ways to start it


def test_console_script() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="shmctl")
    assert script.value == PYPROJECT["project"]["scripts"]["shmctl"]
    result = run_command([str(SCRIPTS / "shmctl"), "--version"])
    assert result == Result(0, f"shmctl {shmctl.__version__}\n".encode(), b"")


def test_module() -> None:
    result = run_command([sys.executable, "-m", "shmctl", "--version"])
    assert result == Result(0, f"shmctl {shmctl.__version__}\n".encode(), b"")


# What start-up may load

# Not difflib: click loads it for every short option.
HEAVY = {
    *("rich", "pygments", "markdown_it", "ctypes", "json"),
    *("subprocess", "asyncio", "socket", "ssl", "logging", "tempfile", "unittest", "email", "http"),
    *("urllib.request", "multiprocessing", "concurrent", "decimal", "traceback", "argparse"),
    *("prometheus_client", "wsgiref", "socketserver"),
}
RUN = """
import sys
from shmctl.cli.main import run
status = run(sys.argv[1:])
sys.stdout.flush()
assert status in (0, 1, 124), status
"""
LIST = "\nprint(*sys.modules, file=sys.stderr)\n"


def modules_after(script: str, *args: str, stdin: bytes = b"") -> set[str]:
    """The modules that a fresh interpreter has loaded when ``script`` is done."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    process = subprocess.run(
        [sys.executable, "-c", script + LIST, *args],
        input=stdin,
        env=env,
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    return set(process.stderr.decode().splitlines()[-1].split())


# Loads and stores through a mapping.
MAPPING = {"ctypes"}
# inotify_simple looks for the C library, and ctypes.util is how.
INOTIFY = {"ctypes", "subprocess", "tempfile"}
# So do semaphores, under a guard against SIGBUS.
SEMAPHORE = {"ctypes"}
# kcmp(2) tells which threads have descriptors of their own, where a process has threads.
THREADS = {"ctypes"}
PATHS = {
    "help": (["--help"], set()),
    "version": (["--version"], set()),
    "help of a command": (["read", "--help"], set()),
    "create": (["create", "NEW", "--size", "10"], set()),
    "create --reserve": (["create", "NEW", "--size", "10", "--reserve"], set()),
    "create --atomic": (["create", "NEW", "--size", "10", "--atomic"], set()),
    "create --replace": (["create", "NAME", "--atomic", "--replace"], set()),
    "truncate": (["truncate", "NAME", "--size", "+1"], set()),
    "write a text": (["write", "NAME", "x"], MAPPING),
    "write --type": (["write", "NAME", "--type", "int32", "-5"], MAPPING),
    "write --hex": (["write", "NAME", "--hex", "ff"], MAPPING),
    "write --fill": (["write", "NAME", "--fill", "0"], MAPPING),
    "write a stream": (["write", "NAME"], MAPPING),
    "read raw": (["read", "NAME"], MAPPING),
    "read --text": (["read", "NAME", "--text"], MAPPING),
    "read --hex": (["read", "NAME", "--hex"], MAPPING),
    "read --type": (["read", "NAME", "--type", "int32"], MAPPING),
    "read --json": (["read", "NAME", "--json"], {"json"} | MAPPING),
    "layout": (["layout", "int a; char b[8];"], set()),
    "layout --json": (["layout", "int a;", "--json"], {"json"}),
    "stat": (["stat", "NAME"], {"ctypes"}),
    "stat --format": (["stat", "NAME", "--format", "%n %s"], set()),
    "stat --json": (["stat", "NAME", "--json"], {"json", "ctypes"}),
    "ls": (["ls"], set()),
    "ls -0": (["ls", "-0"], set()),
    "ls NAME": (["ls", "NAME"], set()),
    "ls --json": (["ls", "--json"], {"json"}),
    "ls PATTERN": (["ls", "NAME*"], set()),
    "ls with verdicts": (["ls", "--verdict", "kept", "NAME*"], set()),
    "stat --holders": (["stat", "--holders", "NAME"], THREADS),
    "holders": (["holders"], THREADS),
    "holders NAME": (["holders", "NAME"], THREADS),
    "holders --unlinked": (["holders", "--unlinked"], THREADS),
    "leaks": (["leaks", "NAME*"], set()),
    "leaks --json": (["leaks", "--json", "NAME*"], {"json"} | THREADS),
    "gc": (["gc", "--min-age", "0", "NAME*"], set()),
    "gc --yes": (["gc", "--min-age", "0", "--yes", "NAME*"], set()),
    "df": (["df"], THREADS),
    "df --json": (["df", "--json"], {"json"} | THREADS),
    "metrics --help": (["metrics", "--help"], set()),
    "doctor": (["doctor"], THREADS),
    "doctor --json": (["doctor", "--json"], {"json"} | THREADS),
    "chmod": (["chmod", "600", "NAME"], set()),
    "chown": (["chown", ":OWN", "NAME"], set()),
    "wait": (["wait", "NAME"], INOTIFY),
    "wait --gone": (["wait", "--gone", "NEW"], INOTIFY),
    "wait --unused": (["wait", "--unused", "NAME"], INOTIFY),
    "wait for a value": (["wait", "NAME", "--type", "int32", "== 0"], INOTIFY | MAPPING),
    "wait --print": (["wait", "NAME", "--type", "int32", "== 0", "--print"], INOTIFY | MAPPING),
    "lock": (["lock", "NAME", "--", "true"], set()),
    "lock --timeout": (["lock", "--timeout", "1", "NAME", "--", "true"], set()),
    "sem create": (["sem", "create", "NEW"], SEMAPHORE),
    "sem post": (["sem", "post", "SEM"], SEMAPHORE),
    "sem wait": (["sem", "wait", "SEM"], SEMAPHORE),
    "sem wait --timeout": (["sem", "wait", "--timeout", "1", "SEM"], SEMAPHORE),
    "sem value": (["sem", "value", "SEM"], SEMAPHORE),
    "sem unlink": (["sem", "unlink", "SEM"], SEMAPHORE),
    "sem ls": (["sem", "ls", "SEM"], SEMAPHORE),
    "sem ls --json": (["sem", "ls", "--json", "SEM"], {"json"} | SEMAPHORE),
    "run": (["run", "--size", "10", "--", "true"], set()),
    "run --name": (["run", "--name", "NEW", "--", "true"], set()),
    "events": (["events", "--timeout", "0"], {"ctypes", "socket"}),
    "mv": (["mv", "NAME", "NEW"], {"ctypes"}),
    "rescue": (["rescue", "NAME", "NEW"], THREADS),
    "locks": (["locks", "NAME"], THREADS),
    "cp": (["cp", "NAME", "NEW"], set()),
    "rm": (["rm", "NAME"], set()),
    "rm PATTERN": (["rm", "NAME*"], set()),
    "unlink": (["unlink", "NAME"], set()),
    "batch": (["batch", "/dev/null"], set()),
    "completion": (["completion", "bash"], set()),
}


def test_every_path_to_a_command_has_a_budget() -> None:
    assert {words[0] for words, _ in PATHS.values()} >= set(COMMANDS)


@pytest.mark.parametrize("path", PATHS)
def test_import_budget(path: str, names: list[str]) -> None:
    name, new, semaphore = names
    done("create", name, "--size", "64")
    if path.startswith("sem "):
        done("sem", "create", semaphore, "--value", "1")
    words, allowed = PATHS[path]
    meant = {"NAME": name, "NEW": new, "SEM": semaphore, ":OWN": f":{os.getgid()}"}
    args = [meant.get(word, word.replace("NAME", name)) for word in words]
    loaded = modules_after(RUN, *args, stdin=b"data")
    assert loaded & HEAVY <= allowed
    assert not {module for module in loaded if module.startswith("shmctl.api")}


def test_the_prometheus_library_is_loaded_for_metrics_alone() -> None:
    assert importers("prometheus_client") == {"render/metrics.py", "cli/metrics_server.py"}
    assert "prometheus_client" in modules_after(RUN, "metrics")


# What every script that works with shared memory from Python would load anyway.
PEER = "import sys, click, posix_ipc, mmap"
# Click asks it how wide the terminal is.
SHUTIL = {"shutil", "fnmatch", "bz2", "lzma", "zlib", "compression"}
# How many modules of ours a path may load, and which others may come to those of the peer. Each takes a tenth
# of a millisecond at least; dataclasses takes one, and each frozen dataclass a quarter.
LEAN = {
    "version": (14, {"signal"}),
    "help": (14, {"signal", "locale", "textwrap", "click._textwrap"} | SHUTIL),
    "create": (28, {"signal", "fcntl"}),
    "write a text": (33, {"signal", "ctypes", "struct", "fcntl"}),
    "read raw": (35, {"signal", "fcntl"}),
    "read --type": (38, {"signal", "ctypes", "struct", "fcntl", "math"}),
    "stat --json": (30, {"signal", "json", "pwd", "grp", "ctypes", "struct"}),
    "unlink": (22, {"signal"}),
}


@pytest.mark.parametrize("path", LEAN)
def test_lean_start(path: str, names: list[str]) -> None:
    """No clock tells a slow start from a busy machine, but what has been loaded tells it surely."""
    name, new, _ = names
    done("create", name, "--size", "64")
    args = [{"NAME": name, "NEW": new}.get(word, word) for word in PATHS[path][0]]
    check_lean(modules_after(RUN, *args), *LEAN[path])


def test_lean_completion(name: str) -> None:
    done("create", name)
    script = (
        "import sys\nfrom shmctl.cli.group import cli\n"
        "from shmctl.cli.completion.shells import answer\nanswer(cli, 'bash_complete')"
    )
    loaded = modules_after(script, f"shmctl read {name}", " :=")
    check_lean(loaded, 35, {"signal", "fcntl", "fnmatch", "click.shell_completion"})


def check_lean(loaded: set[str], budget: int, allowed: set[str]) -> None:
    """At most so many modules of ours, and no others beyond the peer's than these."""
    peer = modules_after(PEER)
    ours = {module for module in loaded if module.partition(".")[0] == "shmctl"}
    # Of what comes new, the parts differ from one Python to the next, and so do modules in C.
    others = {module for module in loaded - peer - ours if not module.startswith("_")}
    others = {module if (top := module.partition(".")[0]) in peer else top for module in others}
    assert others <= allowed
    assert len(ours) <= budget, sorted(ours)


def system_calls(folder: Path, *argv: str) -> list[str]:
    """The system calls of a program, once Python has compiled what it loads."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    log = folder / "calls"
    for _ in range(2):
        subprocess.run(["strace", "-o", str(log), *argv], env=env, capture_output=True, check=False)
    return log.read_text().splitlines()


@pytest.mark.parametrize("path", ["create", "write a text", "read raw", "stat --json", "unlink"])
def test_few_system_calls_before_the_first_that_counts(path: str, name: str, tmp_path: Path) -> None:
    if path != "create":
        done("create", name, "--size", "64")
    args = [name if word in ("NAME", "NEW") else word for word in PATHS[path][0]]
    calls = system_calls(tmp_path, str(SCRIPTS / "shmctl"), *args)
    first = next(at for at, call in enumerate(calls) if f'"/dev/shm{name}"' in call)
    peer = len(system_calls(tmp_path, sys.executable, "-c", PEER))
    assert first < 1.5 * peer  # 1.45 on Debian 12 and 13


@pytest.mark.parametrize("words", [["stat", "/"], ["ls", "--owner", ""], ["re"], ["read", "--"]])
def test_import_budget_of_completion(words: list[str], name: str) -> None:
    done("create", name)
    script = (
        "import sys\nfrom shmctl.cli.group import cli\n"
        "from shmctl.cli.completion.shells import answer\nanswer(cli, 'zsh_complete')"
    )
    assert modules_after(script, *words) & HEAVY == set()


HEAVY_LAYOUTS = {f"shmctl.core.layouts.{name}" for name in ("declarations", "lookup", "dwarf", "compiler")}


@pytest.mark.parametrize("module", ["shmctl.core.layouts.declarations"])
def test_what_a_structure_needs_is_loaded_for_it(module: str, name: str) -> None:
    """So that the budget above would notice: these are what it keeps out."""
    done("create", name, "--size", "64")
    assert module in modules_after(RUN, "read", name, "--struct", "int x;")
