"""Which process is behind an event: fanotify(7) names it, in a queue that merges and has no order of its own.

inotify(7) keeps every event in order and knows no process. An event is given a
process only if the two queues leave no doubt.
"""

from collections import Counter
from collections.abc import Iterable

from shmctl.core import inotify
from shmctl.core.events.processes import Process

# Of an object under one name there is one of each, so they are never merged with those of another.
_ONCE = inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO


class _Candidate:
    """An event of fanotify, and the bits for which no event of inotify has come yet."""

    __slots__ = ("fresh", "left", "mask", "process")

    def __init__(self, mask: int, process: Process | None) -> None:
        self.mask = self.left = mask
        self.process = process
        self.fresh = True


class Causes:
    """Candidates for the events of one round, and those that the last round left over."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, list[_Candidate]] = {}
        self._expected: Counter[tuple[bytes, int]] = Counter()

    def begin_round(self, expected: Iterable[tuple[bytes, int]]) -> None:
        """Expect candidates for events of inotify, given by name and bit."""
        kept: dict[bytes, list[_Candidate]] = {}
        for name, candidates in self._by_name.items():
            for each in candidates:
                # What is left belongs to an event that is read in this round, or to none.
                if each.fresh and each.left:
                    each.fresh = False
                    kept.setdefault(name, []).append(each)
        self._by_name = kept
        self._expected = Counter(expected)

    def add(self, name: bytes, mask: int, process: Process | None) -> None:
        """Take in an event of fanotify."""
        self._by_name.setdefault(name, []).append(_Candidate(mask, process))

    def lacks(self) -> bool:
        """Whether a candidate is still missing: the kernel fills one queue after the other."""
        for (name, bit), number in self._expected.items():
            there = sum(1 for each in self._by_name.get(name, ()) if each.left & bit)
            if there < (number if bit & _ONCE else 1):
                return True
        return False

    def forget(self) -> None:
        """Drop all candidates, after lost events."""
        self._by_name = {}

    def of(self, name: bytes, bit: int) -> Process | None:
        """The process behind the next event of inotify, if there is no doubt."""
        number = self._expected[name, bit]
        self._expected[name, bit] = number - 1
        having = [each for each in self._by_name.get(name, ()) if each.mask & bit]
        left = [each for each in having if each.left & bit]
        if len(left) == number or (bit & _ONCE and len(left) > number):
            left[0].left &= ~bit
            return left[0].process
        for each in having:
            each.left &= ~bit
        # Merged by fanotify, of one process; or by inotify, of several.
        same = not bit & _ONCE and len({each.process for each in having}) == 1
        return having[0].process if same else None
