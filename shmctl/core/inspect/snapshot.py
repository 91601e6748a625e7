"""One look at a directory, which all commands filter."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

from shmctl.core.inspect.listing import any_name, has_vanished, scan
from shmctl.core.models import DEV_SHM, Directory, Identity, ObjectInfo
from shmctl.core.names import Name

if TYPE_CHECKING:
    import os

    from shmctl.core.inspect.folders import Folder
    from shmctl.core.inspect.holders import Holder, Scan, Unlinked
    from shmctl.core.inspect.lease import Usage as InUse
    from shmctl.core.inspect.lease import UsageTest
    from shmctl.core.inspect.location import Locator
    from shmctl.core.inspect.usage import Usage
    from shmctl.core.inspect.verdicts import Judgement, Rules
    from shmctl.core.proc import Uninspected


class Snapshot:
    """The entries of a directory, their holders, memory use and verdicts.

    Each part is computed on first use, once, from the parts that exist already:
    everything shown from one snapshot agrees, and a command pays only for what
    it shows. Take a new snapshot to look again. Raises ShmError if a part cannot
    be read.

    ``matches`` narrows the entries down to names that match; what it takes
    to judge those is looked at beyond them. ``rules`` are those of the
    verdicts. ``processes`` gives a `Scan` that several snapshots share: see
    `snapshots`.
    """

    def __init__(
        self,
        directory: Directory = DEV_SHM,
        matches: Callable[[Name], bool] = any_name,
        rules: "Rules | None" = None,
        processes: "Callable[[], Scan] | None" = None,
    ) -> None:
        self.directory = directory
        self._matches = matches
        self._rules = rules
        self._shared_processes = processes

    @classmethod
    def of(cls, infos: Iterable[ObjectInfo], directory: Directory = DEV_SHM) -> Self:
        """A snapshot of objects that were looked up one by one, as if the directory had no others."""
        snapshot = cls(directory)
        snapshot.entries = list(infos)
        return snapshot

    # Entries

    @cached_property
    def entries(self) -> list[ObjectInfo]:
        """The entries that match, in no order."""
        return list(scan(self.directory, self._matches))

    @cached_property
    def everything(self) -> list[ObjectInfo]:
        """The entries that match, and then those that do not."""
        if self._matches is any_name:
            return self.entries
        return self.entries + list(scan(self.directory, lambda name: not self._matches(name)))

    @cached_property
    def objects(self) -> list[ObjectInfo]:
        """The objects that match, by name."""
        return sorted((info for info in self.entries if info.is_object), key=lambda info: info.name)

    @cached_property
    def distinct(self) -> list[ObjectInfo]:
        """The entries that match and are on the directory's own file system, by name, each inode once."""
        by_inode: dict[int, ObjectInfo] = {}
        for info in sorted(self.entries, key=lambda info: info.name):
            if info.st.st_dev == self.device:
                by_inode.setdefault(info.st.st_ino, info)
        return list(by_inode.values())

    @cached_property
    def folders(self) -> "list[Folder]":
        """The directories by name, and what is in them on the same file system; whether they match or not."""
        found = [info for info in self.everything if info.is_directory]
        if not found:
            return []
        from shmctl.core.inspect.family_files import load_families
        from shmctl.core.inspect.folders import find_folders

        found.sort(key=lambda info: info.name)
        return find_folders(self.directory, found, self.device, load_families())

    @property
    def below(self) -> list[ObjectInfo]:
        """What is in directories."""
        return [info for folder in self.folders for info in folder.inside]

    @cached_property
    def device(self) -> int:
        """The directory's own st_dev."""
        from shmctl.core import posix

        return posix.stat_directory(self.directory).st_dev

    @cached_property
    def vfs(self) -> "os.statvfs_result":
        """statvfs(3) of the directory."""
        from shmctl.core import posix

        return posix.statvfs(self.directory)

    # Holders

    @cached_property
    def processes(self) -> "Scan":
        """The holders of every file on the file system, with or without a name."""
        from shmctl.core.inspect.holders import scan_processes

        return self._shared_processes() if self._shared_processes else scan_processes(self.devices)

    @property
    def devices(self) -> set[int]:
        """The st_dev of the directory and of its entries: something may be mounted on one."""
        return {self.device, *(info.st.st_dev for info in self.everything)}

    @cached_property
    def holders(self) -> "Scan":
        """The holders of the entries, and of other files if `processes` was computed already."""
        from shmctl.core.inspect.holders import find_holders

        return self.processes if self._shared_processes else find_holders([*self.everything, *self.below])

    @property
    def knows_holders(self) -> bool:
        """Whether a look through /proc was needed already: for a verdict, say."""
        return "holders" in self.__dict__

    def holders_of(self, info: ObjectInfo) -> "list[Holder]":
        """The holders of an object, by PID. An object of several names has them under each."""
        return self._by_identity.get(info.identity, [])

    @cached_property
    def _by_identity(self) -> "dict[Identity, list[Holder]]":
        found: dict[Identity, list[Holder]] = {}
        for holder in sorted(self.holders.holders, key=lambda holder: holder.pid):
            found.setdefault(holder.identity, []).append(holder)
        return found

    @cached_property
    def unlinked(self) -> "list[Unlinked]":
        """The objects of the file system that have no name any more and are held, the largest first."""
        from shmctl.core.inspect.holders import find_unlinked

        if self._all_have_names:
            return []
        named = {info.st.st_ino for info in (*self.everything, *self.below)}
        return find_unlinked(self.processes, self.device, named, self.locator.name_of)

    @cached_property
    def _all_have_names(self) -> bool:
        """Whether no object can be without a name, so that nobody need look through /proc for one."""
        from shmctl.core.inspect.inodes import all_have_names

        return all_have_names(self.directory, self.everything)

    @property
    def uninspected(self) -> "Sequence[Uninspected]":
        """The processes that could not be inspected, and may hold objects without a name."""
        return () if self._all_have_names else self.processes.uninspected

    @cached_property
    def locator(self) -> "Locator":
        """Tells which removed files were in the directory."""
        from shmctl.core.inspect.location import Locator

        return Locator(self.directory)

    @cached_property
    def unlinked_software(self) -> "list[tuple[Unlinked, str | None]]":
        """The same, each with the software that made it, going by the name it had."""
        from shmctl.core.inspect.family_files import load_families

        families = load_families()
        tops = [b"/" + each.name.split(b"/")[1] if each.name else None for each in self.unlinked]
        found = [families.match(Name(top)) if top else None for top in tops]
        software = [match.family.software if match else None for match in found]
        return list(zip(self.unlinked, software, strict=True))

    # Memory use

    @cached_property
    def usage(self) -> "Usage":
        """The capacity and its use, exact to the byte."""
        from shmctl.core.inspect.usage import measure

        # The scan of /proc takes longest: statvfs comes after it.
        unlinked = self.unlinked
        return measure(
            self.directory,
            self.vfs,
            named=self.distinct,
            folders=self.folders,
            unlinked=unlinked,
            uninspected=self.uninspected,
            locator=self.locator,
        )

    # Verdicts

    @cached_property
    def test(self) -> "UsageTest":
        """The test whether an object is in use; it scans /proc only if the kernel's lease does not answer."""
        from shmctl.core.inspect.lease import UsageTest

        return UsageTest(lambda: self.holders)

    @cached_property
    def judgements(self) -> "list[Judgement]":
        """A verdict on each object that matches, by name; the same under each name of one object.

        Objects that vanish meanwhile are left out.
        """
        from shmctl.core.inspect.verdicts import Rules

        found = self._judge(self._rules or Rules(), self.test.ask_each)
        doubtful = [each.info for each in found if each.verdict == "unknown"]
        gone = {info.name for info in doubtful if has_vanished(info)}
        self._leave_out(gone)
        return [each for each in found if each.info.name not in gone]

    def _judge(
        self, rules: "Rules", ask_each: "Callable[[Sequence[ObjectInfo]], list[InUse]]"
    ) -> "list[Judgement]":
        from shmctl.core.inspect.family_files import load_families
        from shmctl.core.inspect.links import agreeing
        from shmctl.core.inspect.verdicts import judge

        linked = {info.identity for info in self.objects if info.st.st_nlink > 1}
        others = self.everything[len(self.entries) :]
        asked = self.objects + [info for info in others if info.identity in linked]
        others = [info for info in others if info.identity not in linked]
        found = judge(asked, others, ask_each, load_families(), rules, directory=self.directory)
        return agreeing(found)[: len(self.objects)]

    @property
    def judged_once(self) -> "list[Judgement]":
        """The same with each object once, under the first of its names that matches."""
        from shmctl.core.inspect.links import once_each

        return once_each(self.judgements)

    def judged_by(self, rules: "Rules") -> "list[Judgement]":
        """`judged_once` by other rules, of this same look: only what the lease called free counts as free."""
        from shmctl.core.inspect.lease import GRANTED, REFUSED, State, Usage
        from shmctl.core.inspect.links import once_each

        free = {each.info.name for each in self.judgements if GRANTED in each.reasons}
        answers = {True: Usage(State.FREE, GRANTED), False: Usage(State.HELD, REFUSED)}
        return once_each(self._judge(rules, lambda infos: [answers[info.name in free] for info in infos]))

    def _leave_out(self, gone: set[Name]) -> None:
        """Take names out of the parts that exist, in place: a listing of them may have begun."""
        for part in ("entries", "everything", "objects", "distinct"):
            if gone and part in self.__dict__:
                infos = self.__dict__[part]
                infos[:] = [info for info in infos if info.name not in gone]

    @cached_property
    def judged_folders(self) -> "list[Judgement]":
        """A verdict on each directory that matches, by name. gc removes none, whatever it is."""
        from shmctl.core.inspect.verdicts import Rules, judge_folders

        folders = [folder for folder in self.folders if self._matches(folder.info.name)]
        return judge_folders(folders, self.test, self._rules or Rules())

    @property
    def distinct_judgements(self) -> "list[Judgement]":
        """The verdicts on the objects in `distinct`."""
        names = {info.name for info in self.distinct}
        return [each for each in self.judgements if each.info.name in names]

    @property
    def by_verdict(self) -> dict[str, int]:
        """The memory of the objects in `distinct` in bytes, by verdict; 0 where there is none."""
        from shmctl.core.inspect.verdicts import Verdict

        allocated = dict.fromkeys(map(str, Verdict), 0)
        for each in self.distinct_judgements:
            allocated[each.verdict.value] += each.info.allocated
        return allocated

    @cached_property
    def pids(self) -> dict[Name, list[int]]:
        """The PIDs that hold each object or directory that is held; /proc is read only for these."""
        inside = {folder.info.name: folder.files for folder in self.folders}
        held = [each.info for each in (*self.judgements, *self.judged_folders) if each.verdict == "held"]
        return {
            info.name: sorted(
                {holder.pid for file in inside.get(info.name, [info]) for holder in self.holders_of(file)}
            )
            for info in held
        }


def snapshots(directories: Sequence[Directory], rules: "Rules | None" = None) -> list[Snapshot]:
    """Snapshots that will be asked for `Snapshot.usage`: one look through /proc serves them all."""
    looks: list[Snapshot] = []
    scans: list[Scan] = []

    def processes() -> "Scan":
        if not scans:
            from shmctl.core.inspect.holders import scan_processes

            scans.append(scan_processes({device for look in looks for device in look.devices}))
        return scans[0]

    looks += [Snapshot(directory, rules=rules, processes=processes) for directory in directories]
    return looks
