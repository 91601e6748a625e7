import pytest

from shmctl.core.user_files import config_file, state_file


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    assert config_file("x.toml") == "/home/alice/.config/shmctl/x.toml"
    assert state_file("history") == "/home/alice/.local/state/shmctl/history"


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/conf")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert config_file("x.toml") == "/conf/shmctl/x.toml"
    assert state_file("history") == "/state/shmctl/history"


@pytest.mark.parametrize("value", ["", "conf", "./conf", "~/conf"])
def test_a_variable_that_is_no_absolute_path_does_not_count(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    monkeypatch.setenv("HOME", "/home/alice")
    assert config_file("x.toml") == "/home/alice/.config/shmctl/x.toml"


def test_a_home_that_is_no_absolute_path_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a folder that another user has, and this one stands in, would say what may be removed."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "here")
    assert config_file("x.toml") is None
