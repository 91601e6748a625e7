"""What may go with what: rules, and the sentences for requests that break them."""

import pytest

from shmctl.core.rules import Rule, exclude, find_problem, given_of, go_with, need


def spell(name: str, value: object) -> str:
    if name == "values":
        return "a VALUE"
    return f"--{value}" if name == "form" and value else f"--{name}"


@pytest.mark.parametrize(
    ("rule", "given", "problem"),
    [
        (exclude("a", "b", "c"), {}, None),
        (exclude("a", "b", "c"), {"b": 0}, None),
        (exclude("a", "b", "c"), {"c": 1, "a": 1}, "--a and --c exclude each other"),
        (exclude("a", "b", "c"), {"c": 1, "a": 1, "b": 1}, "--a and --b and --c exclude each other"),
        (exclude("values", "a"), {"values": ("x",), "a": 1}, "--a takes no VALUE"),
        (exclude("a", "values"), {"values": ("x",), "a": 1}, "--a takes no VALUE"),
        (exclude("form=raw", "a"), {"form": "raw", "a": True}, "--raw and --a exclude each other"),
        (exclude("form=raw", "a"), {"form": "hex", "a": True}, None),
        (exclude("form", "a"), {"form": "hex", "a": True}, "--hex and --a exclude each other"),
        (exclude("a", "b", says="no"), {"a": 1, "b": 1}, "no"),
        (go_with("a", "b", "c"), {}, None),
        (go_with("a", "b", "c"), {"b": 1}, None),
        (go_with("a", "b", "c"), {"a": 1, "c": 1}, None),
        (go_with("a", "b", "c"), {"a": 1}, "--a goes with --b or --c"),
        (go_with("a", "form=raw"), {"a": 1, "form": "hex"}, "--a goes with --raw"),
        (go_with("a", "values"), {"a": 1}, "--a goes with a VALUE"),
        (need("values", "a"), {"values": ("x",)}, "a VALUE needs --a"),
        (need("a", "values", says="no"), {"a": 1}, "no"),
    ],
)
def test_rule(rule: Rule, given: dict[str, object], problem: str | None) -> None:
    assert find_problem([rule], given, spell) == problem


def test_the_first_rule_that_is_broken_counts() -> None:
    rules = [go_with("a", "b"), exclude("a", "c"), need("a", "d")]
    assert find_problem(rules, {"a": 1, "b": 1, "c": 1}, spell) == "--a and --c exclude each other"


def test_what_counts_as_given() -> None:
    values = {
        "none": None,
        "empty": (),
        "flag": False,
        "default": 600,
        "start": 0,
        "on": True,
        "zero": 0,
        "switched": True,
        "off": False,
        "some": ("x",),
        "text": "",
    }
    defaults = {"default": 600, "start": 0, "on": True, "switched": False, "off": True, "zero": None}
    assert set(given_of(values, defaults)) == {"zero", "switched", "off", "some", "text"}
