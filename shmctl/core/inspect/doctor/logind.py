"""The RemoveIPC setting of systemd-logind: logind.conf(5)."""

import os
import re

# A file in an earlier folder replaces one of that name in a later folder.
_FOLDERS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
_SECTION = re.compile(r"\[(.+)\]")
_SETTING = re.compile(r"RemoveIPC\s*=\s*(\S+)")
# The main file shows what was chosen when systemd was built, commented out.
_DEFAULT = re.compile(r"#\s*RemoveIPC\s*=\s*(\S+)")
_YES = {"1", "yes", "y", "true", "t", "on"}
_NO = {"0", "no", "n", "false", "f", "off"}


def remove_ipc() -> tuple[bool, str]:
    """Whether RemoveIPC is on, and where that is set: a path, or "the default". Raises OSError."""
    removes, source = True, "the default"
    main = [path for path in (f"{folder}/logind.conf" for folder in _FOLDERS) if os.path.exists(path)][:1]
    if main and _value_in(main[0], _DEFAULT) is False:
        removes = False
    for path in (*main, *_drop_ins()):
        found = _value_in(path, _SETTING)
        if found is not None:
            removes, source = found, path
    return removes, source


def _drop_ins() -> list[str]:
    """The files of all folders, in the order of their names; one that leads to /dev/null is empty."""
    found: dict[str, str] = {}
    for folder in _FOLDERS:
        try:
            entries = os.listdir(f"{folder}/logind.conf.d")
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.endswith(".conf"):
                found.setdefault(entry, f"{folder}/logind.conf.d/{entry}")
    return [path for _, path in sorted(found.items())]


def _value_in(path: str, pattern: re.Pattern[str]) -> bool | None:
    """The last setting in the section [Login] that makes sense; None without any."""
    section, value = "", None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in map(str.strip, file):
            heading = _SECTION.fullmatch(line)
            if heading:
                section = heading[1]
            match = pattern.fullmatch(line) if section == "Login" else None
            if match and match[1].lower() in _YES | _NO:
                value = match[1].lower() in _YES
    return value
