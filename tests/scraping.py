"""Prometheus text read back, and `shmctl metrics --listen` beside a test."""

import http.client
import os
import re
import select
import socket
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support import TIMEOUT, environment, shmctl_argv

Samples = dict[str, float]
"""Values by ``name{label="value",...}``, without the prefix of the names."""


def families(text: str) -> dict[str, Metric]:
    """The metrics of a text, by name."""
    found = list(text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def samples(text: str) -> Samples:
    """The samples of a text; none may come twice."""
    found: Samples = {}
    for family in families(text).values():
        for sample in family.samples:
            key = sample.name.removeprefix("shmctl_") + shown(sample.labels)
            assert key not in found
            found[key] = sample.value
    return found


def shown(labels: Mapping[str, str]) -> str:
    """Labels as they are in the keys of samples."""
    return "{" + ",".join(f"{k}={v}" for k, v in sorted(labels.items())) + "}" if labels else ""


class Server:
    """`shmctl metrics --listen`, killed at the end of the ``with`` if it still runs."""

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        *,
        env: dict[str, str] | None = None,
        enter: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._process = subprocess.Popen(
            [*enter, *shmctl_argv(*options, "metrics", "--listen", listen)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
        )
        assert self._process.stderr
        self.said = self._process.stderr.readline().decode()
        told = re.fullmatch(r"shmctl: metrics: listening on http://(.+):(\d+)/metrics\n", self.said)
        assert told, (self.said, self._process.communicate(timeout=TIMEOUT))
        self.host, self.port = told[1].strip("[]"), int(told[2])

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate(timeout=TIMEOUT)

    def connect(self) -> socket.socket:
        """A connection that has asked for nothing yet."""
        return socket.create_connection((self.host, self.port), timeout=TIMEOUT)

    def request(
        self, method: str = "GET", path: str = "/metrics", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def scrape(self) -> Samples:
        """The samples as they are now."""
        status, _, body = self.request()
        assert status == 200
        return samples(body.decode())

    def next_error(self) -> str:
        """The next line on its standard error."""
        assert self._process.stderr
        assert select.select([self._process.stderr], [], [], TIMEOUT)[0]
        return self._process.stderr.readline().decode()

    def end(self, number: int) -> tuple[int, str, str]:
        """Send it a signal; its status, its output, and what it said since the last line that was read."""
        os.kill(self._process.pid, number)
        out, err = self._process.communicate(timeout=TIMEOUT)
        return self._process.returncode, out.decode(), err.decode()
