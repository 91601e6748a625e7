"""The container and the pod of a process, by the paths of its control groups."""

import re
from functools import lru_cache
from typing import NamedTuple

from shmctl.core import proc

# Engines call them docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope, or ID alone. A
# container within another has both IDs in its path, its own last. Podman's group of a pod has the pod's.
_CONTAINER = re.compile(rb"(?<!libpod_pod_)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
# Kubernetes: podUID, with underscores below systemd; of a static pod a hash. Podman: libpod_pod_ID.
_POD = re.compile(
    rb"pod_?([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-f])"
)


class Place(NamedTuple):
    """IDs as the engine and the API server know them; None where the process is in none."""

    container: str | None = None
    pod: str | None = None


def place_of(pid: int) -> Place:
    """Where a process runs, as far as its control groups tell."""
    try:
        return place_in(*proc.cgroups(pid))
    except OSError:
        return Place()


# Many processes run in one place.
@lru_cache(maxsize=64)
def place_in(*paths: bytes) -> Place:
    """The container and the pod that the longest of ``paths`` with an ID names."""
    for group in sorted(paths, key=len, reverse=True):
        containers, pods = _CONTAINER.findall(group), _POD.findall(group)
        if containers or pods:
            return Place(
                containers[-1].decode() if containers else None,
                pods[-1].decode().replace("_", "-") if pods else None,
            )
    return Place()
