"""contrib/: alerts and a dashboard that a real Prometheus understands, units that systemd does."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from configparser import RawConfigParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.documents import ROOT
from tests.e2e.inspect import holding
from tests.e2e.inspect.holding import Holder, dead_pid, private_place
from tests.scraping import Server, families, samples
from tests.support import AS_NOBODY, NOBODY, TIMEOUT, compile_c, done, let_all_in, run_command

CONTRIB = ROOT / "contrib"
ALERTS = CONTRIB / "prometheus/alerts.yml"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in (CONTRIB / "grafana").iterdir()}
UNITS = sorted((CONTRIB / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
SHMCTL = str(Path(sys.executable).parent / "shmctl")


def expressions() -> list[str]:
    """Every query of the dashboards, with its variables as Grafana fills them in."""
    filled = {"$job": ".*", "$instance": ".*", "$pod": ".*", "$__range": "6h"}
    found = []
    for dashboard in DASHBOARDS.values():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                for variable, value in filled.items():
                    expression = expression.replace(variable, value)
                assert "$" not in expression.replace('"$1"', "")
                found.append(expression)
    return found


def metric_names(text: str) -> set[str]:
    return set(re.findall(r"\bshmctl_\w+", text))


def test_every_file_is_in_the_readme() -> None:
    text = (CONTRIB / "README.md").read_text()
    files = [path for path in CONTRIB.rglob("*") if path.is_file() and path.name != "README.md"]
    assert len(files) >= 7
    assert [path.name for path in files if f"{path.parent.name}/{path.name}" not in text] == []


# Prometheus and Grafana


def test_alerts_do_what_their_tests_say() -> None:
    checked = run_command(["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)])
    assert checked.status == 0, checked
    tested = run_command(["promtool", "test", "rules", str(ALERTS.with_name("alerts_test.yml"))])
    assert tested.status == 0, tested


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    fired = re.findall(r"alertname: (\w+)\n +exp_alerts:", ALERTS.with_name("alerts_test.yml").read_text())
    assert len(set(alerts)) == len(alerts)
    assert set(alerts) == set(fired)


def test_every_metric_that_is_asked_for_exists() -> None:
    there = set(families(done("metrics")))
    asked = metric_names(" ".join(expressions()))
    for text in (ALERTS.read_text(), ALERTS.with_name("alerts_test.yml").read_text()):
        asked |= metric_names(text)
    queries = [
        variable.get("definition", "")
        for dashboard in DASHBOARDS.values()
        for variable in dashboard["templating"]["list"]
    ]
    assert asked | metric_names(" ".join(queries)) <= there


def test_the_dashboards_are_apart() -> None:
    assert {dashboard["uid"] for dashboard in DASHBOARDS.values()} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafana_knows_all_that_a_dashboard_says(name: str) -> None:
    """Grafana's own schema, in its SDK: what comes back is what went in, but for what its editor keeps."""
    register_default_plugins()
    known = json.loads(json.dumps(Dashboard.from_json(DASHBOARDS[name]), cls=JSONEncoder))
    assert list(lost(DASHBOARDS[name], known)) == []


def lost(given: Any, known: Any) -> Iterator[str]:
    if isinstance(given, dict):
        for key in given.keys() - {"definition"}:
            if key not in known:
                yield key
            else:
                yield from lost(given[key], known[key])
    elif isinstance(given, list):
        for one, other in zip(given, known, strict=True):
            yield from lost(one, other)
    elif given != known:
        yield f"{given}: {known}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_in_order(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["description"]
        where = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not covered & cells
        assert max(x for x, _ in covered) < 24
        cells |= covered
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


class Prometheus:
    """A real one on loopback that scrapes `shmctl metrics --listen` every second."""

    def __init__(self, folder: Path, target: Server) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        config = folder / "prometheus.yml"
        # JSON is YAML, too.
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {"job_name": "shm", "static_configs": [{"targets": [f"127.0.0.1:{target.port}"]}]}
            ],
        }))  # fmt: skip
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
            )

    def close(self) -> None:
        self._process.kill()
        self._process.wait(TIMEOUT)

    def api(self, path: str, **query: str) -> Any:
        """What it answers; nothing while it cannot yet."""
        assert self._process.poll() is None, self._log.read_text()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(query)}")
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            return None
        finally:
            connection.close()
        if answer.status == 503:
            return None
        found = json.loads(text)
        assert found["status"] == "success", found
        assert not found.get("warnings"), found
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return result

    def until(self, path: str, condition: Any) -> Any:
        """What it answers, once that is as wanted."""
        deadline = time.monotonic() + TIMEOUT
        while not ((data := self.api(path)) and condition(data)):
            assert time.monotonic() < deadline, (data, self._log.read_text())
            time.sleep(0.1)
        return data


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Server() as server:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), server)
        try:
            prometheus.until("targets", lambda data: [
                target for target in data["activeTargets"] if target["health"] == "up"
            ])  # fmt: skip
            yield prometheus
        finally:
            prometheus.close()


def test_prometheus_takes_all_of_it(prometheus: Prometheus) -> None:
    stored = {each["metric"]["__name__"] for each in prometheus.query('{__name__=~"shmctl_.+"}')}
    assert stored == set(families(done("metrics")))
    assert [each["value"][1] for each in prometheus.query("up")] == ["1"]


def test_prometheus_evaluates_every_alert(prometheus: Prometheus) -> None:
    def evaluated(data: Any) -> bool:
        return all(rule["health"] != "unknown" for group in data["groups"] for rule in group["rules"])

    rules = [rule for group in prometheus.until("rules", evaluated)["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))
    assert [rule.get("lastError") for rule in rules] == [None] * len(rules)
    assert {rule["health"] for rule in rules} == {"ok"}


def test_prometheus_answers_every_query_of_the_dashboard(prometheus: Prometheus) -> None:
    for expression in expressions():
        found = prometheus.query(expression)
        # What filters by size may well find nothing, and there is no kube-state-metrics.
        assert found or expression.endswith("> 0") or "kube_pod_info" in expression, expression
    assert len(expressions()) > 15


# systemd


def settings(service: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(service)
    return parser


def command_of(service: Path) -> list[str]:
    program, *args = settings(service)["Service"]["ExecStart"].split()
    assert program == "/usr/local/bin/shmctl"
    return [SHMCTL, *args]


def as_the_unit(service: Path) -> list[str]:
    """Enters what is left of root there."""
    names = settings(service)["Service"]["CapabilityBoundingSet"].split()
    kept = "".join(f",+{name.removeprefix('CAP_').lower()}" for name in names)
    return ["setpriv", f"--bounding-set=-all{kept}", "--inh-caps=-all", "--no-new-privs"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, calling the command that is tested here."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        (folder / unit.name).write_text(unit.read_text().replace("/usr/local/bin/shmctl", SHMCTL))
    return folder


def test_systemd_understands_the_units(installed: Path) -> None:
    units = [str(installed / unit.name) for unit in UNITS]
    result = run_command(["systemd-analyze", "verify", *units], env={"MANPATH": str(ROOT / "man")})
    assert (result.status, result.text, result.errors) == (0, "", "")


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_the_services_are_closed(service: Path, installed: Path) -> None:
    """Of 100, 100 being a service that may do everything; below 50 is what systemd calls OK."""
    # fanotify takes CAP_SYS_ADMIN, and the kernel's process events the host's network.
    most = 24 if "events" in service.name else 20
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={most}"]
    result = run_command([*argv, str(installed / service.name)])
    assert result.status == 0, result.text


def test_both_services_are_closed_in_the_same_way() -> None:
    metrics, gc = (
        dict(settings(CONTRIB / f"systemd/shmctl-{name}.service")["Service"]) for name in ("metrics", "gc")
    )
    own = {"ExecStart", "TimeoutStartSec", "CapabilityBoundingSet", "ReadWritePaths"}
    assert {k: v for k, v in metrics.items() if k not in own} == {k: v for k, v in gc.items() if k not in own}


def system_calls(*sets: str) -> set[str]:
    """What systemd's names for sets of system calls stand for."""
    listed = run_command(["systemd-analyze", "syscall-filter", "--no-pager", *sets])
    assert listed.status == 0
    lines = [line.strip() for line in listed.text.splitlines()]
    inner = {line for line in lines if line.startswith("@")} - set(sets)
    calls = {line for line in lines if re.fullmatch(r"[a-z_0-9]+", line)}
    return calls | system_calls(*inner) if inner else calls


@pytest.mark.needs_root
@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_it_makes_no_other_system_calls(service: Path, tmp_path: Path) -> None:
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", service.read_text(), re.M):
        words = line.removeprefix("~").split()
        named = system_calls(*(word for word in words if word.startswith("@"))) if "@" in line else set()
        named |= {word for word in words if not word.startswith("@")}
        allowed = allowed - named if line.startswith("~") else allowed | named
    log = tmp_path / "log"
    command = [
        word.replace("/var/lib/prometheus/node-exporter", str(tmp_path)) for word in command_of(service)
    ]
    with private_place() as place:
        place.make(f"/torch_{dead_pid()}_1_0")
        argv = [*place.enter, *as_the_unit(service), "strace", "-f", "-qq", "-o", str(log), *command]
        if "gc" in command:
            argv[-1] = "0"
        if "events" in command:
            argv += ["--timeout", "0.5"]
        result = run_command(argv)
    assert result.status == (124 if "events" in command else 0), result
    lines = log.read_text().splitlines()
    assert {match[1] for line in lines if (match := re.match(r"\d+ +(\w+)\(", line))} <= allowed
    # MemoryDenyWriteExecute.
    assert not [line for line in lines if "PROT_WRITE|PROT_EXEC" in line]


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    folder = tmp_path_factory.mktemp("hold")
    let_all_in(folder)
    return Holder(compile_c(holding.HOLDER, folder, "holder"))


@pytest.mark.needs_root
def test_metrics_has_the_capabilities_that_it_needs(hold: Holder, tmp_path: Path) -> None:
    """It sees all that root sees: what others hold, and what has no name and is only mapped."""
    (service,) = (path for path in SERVICES if "metrics" in path.name)
    with private_place() as place:
        for name in ("/held", "/mapped", "/free"):
            path = place.make(name)
            path.chmod(0o600)
            os.chown(path, NOBODY, NOBODY)
        theirs: Sequence[str] = [*place.enter, *AS_NOBODY]
        with hold("fd", "/dev/shm/held", theirs), hold("mapping", "/dev/shm/mapped", theirs):
            place.path("/mapped").unlink()
            command = [SHMCTL, "metrics", "--min-age", "0"]
            as_root = samples(run_command([*place.enter, *command]).text)
            as_unit = samples(run_command([*place.enter, *as_the_unit(service), *command]).text)
    varying = ("collection_timestamp_seconds", "collection_duration_seconds")
    for key in varying:
        del as_root[key], as_unit[key]
    assert as_unit == as_root
    assert as_unit["unlinked_objects_allocated_bytes"] == holding.SIZE
    for verdict in ("held", "orphan"):
        assert as_unit[f"owner_objects{{owner=nobody,verdict={verdict}}}"] == 1


@pytest.mark.needs_root
def test_gc_has_the_capabilities_that_it_needs(hold: Holder) -> None:
    (service,) = (path for path in SERVICES if "gc" in path.name)
    with private_place() as place:
        for name in ("/held", f"/torch_{dead_pid()}_1_0"):
            path = place.make(name)
            path.chmod(0o600)
            os.chown(path, NOBODY, NOBODY)
        theirs = [*place.enter, *AS_NOBODY]
        with hold("fd", "/dev/shm/held", theirs):
            argv = [*place.enter, *as_the_unit(service), SHMCTL, "gc", "--yes", "--min-age", "0"]
            result = run_command(argv)
        assert (result.status, result.errors) == (0, ""), result
        assert os.listdir(place.path("")) == ["held"]


def test_metrics_may_write_where_it_writes() -> None:
    (service,) = (settings(path) for path in SERVICES if "metrics" in path.name)
    file = Path(service["Service"]["ExecStart"].split()[-1])
    assert file.name == "shmctl.prom"
    assert service["Service"]["ReadWritePaths"] == service["Unit"]["ConditionPathIsDirectory"]
    assert str(file.parent) == service["Service"]["ReadWritePaths"]
