"""Which container and pod a process is in, by the control groups that real engines make."""

import subprocess
from pathlib import Path

import pytest

from shmctl.core.inspect.containers import Place, place_of
from tests.e2e.inspect.holding import cgroup

pytestmark = pytest.mark.needs_root

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
UID = "01234567-89ab-cdef-0123-456789abcdef"
SLICE = f"kubepods-besteffort-pod{UID.replace('-', '_')}.slice"
HASH = "0123456789abcdef" * 2

GROUPS = {
    "test.slice/test.service": Place(),
    f"docker/{ID}": Place(ID),
    f"test.slice/docker-{ID}.scope": Place(ID),
    f"test.slice/libpod-{ID}.scope/container": Place(ID),
    f"test.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope": Place(ID, OTHER),
    f"kubepods/burstable/pod{UID}/{ID}": Place(ID, UID),
    f"kubepods/burstable/pod{HASH}/{ID}": Place(ID, HASH),
    f"kubepods.slice/kubepods-besteffort.slice/{SLICE}/cri-containerd-{ID}.scope": Place(ID, UID),
    f"kubepods.slice/{SLICE}/crio-{ID}.scope": Place(ID, UID),
    f"kubepods.slice/{SLICE}": Place(None, UID),
    f"docker/{OTHER}/kubelet/kubepods/pod{UID}/{ID}": Place(ID, UID),
    f"test.slice/{ID}0": Place(),
}


@pytest.mark.parametrize("path", GROUPS)
def test_groups(path: str, tmp_path: Path) -> None:
    with cgroup(tmp_path, path) as folder, subprocess.Popen(["sleep", "60"]) as process:
        (folder / "cgroup.procs").write_text(str(process.pid))
        try:
            assert place_of(process.pid) == GROUPS[path]
        finally:
            process.kill()
            process.wait()


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert place_of(process.pid) == Place()
