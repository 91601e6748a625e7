"""Rules for combining parameters, declared once for the command line and the library.

A rule names parameters: ``length``, or one value of a parameter: ``state=changed``. The caller
spells the parameters as its users know them, ``--length`` or ``length=``.
"""

from collections.abc import Callable, Iterable, Mapping

Spell = Callable[[str, object], str]
"""Spells a parameter and its value (None: any). What is no option has an article: ``a VALUE``."""


class Rule:
    """Which of ``terms`` exclude each other; with a ``verb``, that the first needs one of the others.

    ``says`` replaces the sentence for a request that breaks the rule.
    """

    def __init__(self, terms: tuple[str, ...], verb: str | None, says: str | None) -> None:
        self.terms = terms
        self.verb = verb
        self.says = says

    def problem(self, given: Mapping[str, object], spell: Spell) -> str | None:
        """The sentence if the parameters that are ``given`` break the rule, else None."""
        met = [term for term in self.terms if _is_met(term, given)]
        if self.verb is None:
            if len(met) < 2:
                return None
            return self.says or _exclusion([_spelled(term, given, spell) for term in met])
        if met != [self.terms[0]]:
            return None
        subject, *others = [_spelled(term, given, spell) for term in self.terms]
        return self.says or f"{subject} {self.verb} {' or '.join(others)}"


def exclude(*terms: str, says: str | None = None) -> Rule:
    """At most one of ``terms`` may be given."""
    return Rule(terms, None, says)


def go_with(term: str, *others: str, says: str | None = None) -> Rule:
    """``term`` adds to one of ``others``, and means nothing without."""
    return Rule((term, *others), "goes with", says)


def need(term: str, *others: str, says: str | None = None) -> Rule:
    """``term`` is incomplete without one of ``others``."""
    return Rule((term, *others), "needs", says)


def find_problem(rules: Iterable[Rule], given: Mapping[str, object], spell: Spell) -> str | None:
    """The sentence for the first rule that the parameters that are ``given`` break; None if all hold."""
    for rule in rules:
        problem = rule.problem(given, spell)
        if problem:
            return problem
    return None


def given_of(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Those of ``values`` that somebody gave: not None, not empty, not a flag left alone, no default."""
    return {name: value for name, value in values.items() if _is_given(value, defaults.get(name))}


def _is_given(value: object, default: object) -> bool:
    if value is None or value == ():
        return False
    return default is True if value is False else value != default


def _is_met(term: str, given: Mapping[str, object]) -> bool:
    name, equals, value = term.partition("=")
    return name in given and (not equals or str(given[name]) == value)


def _spelled(term: str, given: Mapping[str, object], spell: Spell) -> str:
    name, equals, value = term.partition("=")
    return spell(name, value if equals else given.get(name))


def _exclusion(spelled: list[str]) -> str:
    for argument in spelled:
        if argument.startswith("a "):
            other = next(each for each in spelled if each != argument)
            return f"{other} takes no {argument.removeprefix('a ')}"
    return f"{' and '.join(spelled)} exclude each other"
