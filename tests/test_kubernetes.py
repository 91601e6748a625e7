"""contrib/kubernetes: manifests that the API takes, with nothing but the rights that they need."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import ROOT
from tests.support import run_command

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
