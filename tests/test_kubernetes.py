"""contrib/kubernetes: manifests that the API takes, with nothing but the rights that they need."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from tests.documents import ROOT
from tests.e2e.inspect.holding import HOLDER, SIZE, Holder, PrivatePlace, cgroup, dead_pid, private_place
from tests.scraping import Samples, samples
from tests.support import (
    AS_NOBODY,
    NOBODY,
    TIMEOUT,
    Result,
    compile_c,
    environment,
    let_all_in,
    run_command,
    shmctl_argv,
)

FOLDER = ROOT / "contrib/kubernetes"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
SCRIPTS = Path(sys.executable).parent
# The first version with appArmorProfile, and the newest that the validator has.
VERSIONS = ("1.30", "1.37")
# 22 MB of schemas: too much for all who want to run the tests, and nothing that shmctl needs.
VALIDATOR = "kubernetes-validate==1.37.0"


def resources() -> list[dict[str, Any]]:
    return [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]


def daemon_sets() -> dict[str, dict[str, Any]]:
    """The pods' specifications, by the DaemonSets' names."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in resources()
        if each["kind"] == "DaemonSet"
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_takes_every_manifest(version: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MANIFESTS[-1].read_text().replace("hostPID: true", "hostPid: true"))
    argv = ["uv", "tool", "run", "--quiet", "--python", sys.executable, "--from", VALIDATOR]
    argv = [str(SCRIPTS / argv[0]), *argv[1:], "kubernetes-validate", "--strict", "-k", version]
    result = run_command([*argv, *map(str, MANIFESTS)], env={"PYTHONWARNINGS": "default"})
    assert result.status == 0, result
    assert (result.text + result.errors).count(" passed for resource ") == len(resources()), result
    assert run_command([*argv, str(wrong)], env={"PYTHONWARNINGS": "default"}).status != 0


def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    """Debian's has no discovery of pods, so without that part."""
    config = yaml.safe_load((FOLDER / "scrape.yml").read_text())
    (job,) = config["scrape_configs"]
    (discovery,) = job.pop("kubernetes_sd_configs")
    assert discovery == {"role": "pod", "namespaces": {"names": ["shmctl"]}}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    result = run_command(["promtool", "check", "config", str(tmp_path / "prometheus.yml")])
    assert result.status == 0, result
    (port,) = daemon_sets()["shmctl-metrics"]["containers"][0]["ports"]
    assert port["name"] == job["relabel_configs"][0]["regex"]


@pytest.mark.parametrize("name", daemon_sets())
def test_the_pods_are_closed(name: str) -> None:
    """One by one: what a reviewer asks for. Each capability has its reason in the line above."""
    pod = daemon_sets()[name]
    assert (pod["hostPID"], pod["hostNetwork"], pod["hostIPC"]) == (True, False, False)
    assert pod["automountServiceAccountToken"] is False
    text = "\n".join(path.read_text() for path in MANIFESTS)
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["privileged"] is context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert context["capabilities"]["drop"] == ["ALL"]
        for capability in context["capabilities"]["add"]:
            assert re.search(rf"^ +# .+\n +- {capability}$", text, re.M), capability
        assert all(mount["readOnly"] for mount in container.get("volumeMounts", ()))
        assert container["resources"]["limits"]["memory"]


def test_gc_is_off_as_it_stands() -> None:
    (rules,) = (each["data"]["rules"] for each in resources() if each["kind"] == "ConfigMap")
    assert rules == ""
    assert "gc" not in str(daemon_sets()["shmctl-metrics"])


def test_the_container_has_all_that_a_build_needs(tmp_path: Path) -> None:
    """What its first stage copies is built as its RUN line says."""
    copied = re.findall(r"^COPY (?!--from)(.+) /src/(\S*)$", (FOLDER / "Containerfile").read_text(), re.M)
    for sources, target in copied:
        for source in sources.split():
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                shutil.copy(ROOT / source, tmp_path / target / source)
    argv = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path / "out"),
    ]
    result = run_command([*argv, str(tmp_path)], env={"PYTHONWARNINGS": "default"})
    assert result.status == 0, result
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".whl"]


# Run, as far as namespaces and control groups make a pod


# Without its last digit; tests that run at the same time in another process have another.
POD = f"{os.getpid():08x}-89ab-cdef-0123-456789abcde"
READ_ONLY = "mount -o remount,bind,ro /"


@contextmanager
def pod(folder: Path, number: int) -> Iterator[PrivatePlace]:
    """A pod of the node: a /dev/shm, and a control group that says whose it is."""
    path = (
        f"kubepods.slice/kubepods-pod{POD.replace('-', '_')}{number}.slice/cri-containerd-{number:064x}.scope"
    )
    with (
        cgroup(folder, path) as group,
        private_place(f"{number}m", setup=f"echo $$ >{group}/cgroup.procs") as place,
    ):
        yield place


def left_behind(place: PrivatePlace, name: str) -> str:
    """An object of another user, which nobody has open."""
    path = place.make(name)
    path.chmod(0o600)
    os.chown(path, NOBODY, NOBODY)
    return name


ENV = environment({"PATH": f"{SCRIPTS}:{os.environ['PATH']}"})


def entered(daemon_set: str, place: PrivatePlace) -> list[str]:
    """Enters what the manifest leaves of root, on a root file system that is read-only."""
    (container,) = daemon_sets()[daemon_set]["containers"]
    kept = "".join(f",+{name.lower()}" for name in container["securityContext"]["capabilities"]["add"])
    return [*place.enter, "setpriv", f"--bounding-set=-all{kept}", "--inh-caps=-all", "--no-new-privs"]


def run_in(daemon_set: str, place: PrivatePlace, *command: str) -> Result:
    """Run a command as that."""
    return run_command([*entered(daemon_set, place), *command], env=ENV)


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    folder = tmp_path_factory.mktemp("holder")
    let_all_in(folder)
    return Holder(compile_c(HOLDER, folder, "holder"))


@pytest.mark.needs_root
def test_metrics_sees_in_pods_what_root_sees(holder: Holder, tmp_path: Path) -> None:
    """Also what is held by others, and what has no name and is mapped only."""
    (container,) = daemon_sets()["shmctl-metrics"]["containers"]
    assert container["args"][:3] == ["metrics", "--all", "--listen"]
    command = shmctl_argv("metrics", "--all", "--min-age", "0")
    with private_place(setup=READ_ONLY) as own, pod(tmp_path, 3) as one, pod(tmp_path, 5) as other:
        left_behind(one, "/free")
        names = [left_behind(other, name) for name in ("/held", "/mapped")]
        theirs = [*other.enter, *AS_NOBODY]
        with holder("fd", f"/dev/shm{names[0]}", theirs), holder("mapping", f"/dev/shm{names[1]}", theirs):
            other.path("/mapped").unlink()
            as_root = of_pods(run_command([*own.enter, *command]))
            as_pod = of_pods(run_in("shmctl-metrics", own, *map(str, command)))
    assert as_pod == as_root
    (size,) = [
        value
        for key, value in as_pod.items()
        if key.startswith("unlinked_objects_allocated_bytes") and f"{POD}5" in key
    ]
    assert size == SIZE


def of_pods(result: Result) -> Samples:
    """What does not change by itself; the rest of the host is others'."""
    assert (result.status, result.errors) == (0, "")
    changing = ("collection_", "uninspected_processes")
    return {
        key: value
        for key, value in samples(result.text).items()
        if f"pod={POD}" in key and not key.startswith(changing)
    }


@pytest.mark.needs_root
def test_events_names_pod_and_process(tmp_path: Path) -> None:
    """Also in a pod that starts later; and nothing is left running, or keeps a pod's memory."""
    with private_place(setup=READ_ONLY) as own, pod(tmp_path, 3) as one:
        command = [*entered("shmctl-events", own), str(FOLDER / "events-pods"), "0.5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV) as process:
            assert process.stdout and process.stderr
            seen = begun(process.stderr, one.pid)
            with pod(tmp_path, 5) as other:
                seen = begun(process.stderr, other.pid, seen)
                for place in (one, other):
                    left_behind(place, "/gone")
                    remover = run_command([*place.enter, "sh", "-c", "echo $$; exec rm /dev/shm/gone"])
                    # Others remove things on the host, too.
                    events = (json.loads(line) for line in process.stdout)
                    event = next(each for each in events if each["pod"] is not None)
                    assert (event["event"], event["name"]) == ("remove", "/gone")
                    assert event["pid"] == int(remover.text)
                    assert event["pod"] == f"{POD}{3 if place is one else 5}"
                watcher = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                assert len(watcher.read_text().split()) > 1
            process.terminate()
            process.communicate(timeout=TIMEOUT)
        assert process.returncode == 143
        left = run_command(["pgrep", "-f", f"shmctl --target {one.pid} events"])
        assert left.text == ""


def begun(lines: IO[bytes], pid: int, seen: frozenset[int] = frozenset()) -> frozenset[int]:
    """Wait until the events of a process's /dev/shm are watched."""
    while pid not in seen:
        line = lines.readline().decode()
        assert line, "it has ended"
        seen |= {int(found) for found in re.findall(r"watching /proc/(\d+)/root", line)}
    return seen


@pytest.mark.needs_root
def test_gc_removes_what_a_rule_names_and_nothing_else(holder: Holder, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("rules", "pods")]
    for folder in folders:
        folder.mkdir()
    rules, pods = folders
    (rules / "min-age").write_text("0\n")
    (pods / f"training_job-0_{POD}3").mkdir()
    (pods / f"web_server-0_{POD}5").mkdir()
    command = [str(FOLDER / "gc-pods"), str(rules), str(pods), "0"]
    with private_place(setup=READ_ONLY) as own, pod(tmp_path, 3) as training, pod(tmp_path, 5) as web:
        torch, other = f"/torch_{dead_pid()}_1_0", f"/torch_{dead_pid()}_2_0"
        for place in (training, web):
            left_behind(place, torch)
            left_behind(place, "/another*")
        left_behind(training, other)
        (rules / "rules").write_text("")
        with holder("fd", f"/dev/shm{other}", [*training.enter, *AS_NOBODY]):
            assert run_in("shmctl-gc", own, *command) == Result(0, b"", b"")
            (rules / "rules").write_text("web CPython multiprocessing\ntraining PyTorch\nnonsense\n")
            result = run_in("shmctl-gc", own, *command)
        left = {place.pid: set(os.listdir(place.path(""))) for place in (training, web)}
    assert result.status == 0, result
    (removed,) = map(json.loads, result.text.splitlines())
    assert (removed["namespace"], removed["pod"], removed["name"]) == ("training", f"{POD}3", torch)
    assert left[training.pid] == {"another*", other[1:]}
    assert left[web.pid] == {"another*", torch[1:]}
