"""metrics --listen: it answers whoever asks, and nobody keeps it from that."""

import gzip
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from shmctl.cli.addresses import Address
from shmctl.cli.metrics_server import CONNECTIONS, PATIENCE, MetricsServer, metrics_application
from shmctl.render.metrics import Collected, TotalsCollector
from tests.e2e.inspect.holding import private_place
from tests.scraping import Server, families
from tests.support import TIMEOUT, done, path_of, run


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


ANSWERS = [
    ("GET", "/metrics", 200),
    ("HEAD", "/metrics", 200),
    ("GET", "/metrics?name[]=shmctl_used_bytes", 200),
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("GET", "/favicon.ico", 404),
    ("GET", "/metrics/", 404),
    ("GET", "/../../etc/passwd", 404),
    ("GET", "//etc/passwd", 404),
    ("GET", "/%2e%2e/etc/passwd", 404),
    ("POST", "/metrics", 405),
    ("PUT", "/metrics", 405),
    ("DELETE", "/", 405),
    ("OPTIONS", "/metrics", 405),
    ("TRACE", "/", 405),
]


def test_answers(server: Server) -> None:
    for method, path, status in ANSWERS:
        answered, headers, body = server.request(method, path)
        assert answered == status, (method, path)
        assert headers["Content-Type"].startswith("text/plain")
        assert "passwd" not in body.decode()
        if method == "HEAD":
            assert (body, int(headers["Content-Length"]) > 0) == (b"", True)
        else:
            assert len(body) == int(headers["Content-Length"])
        if status == 405:
            assert headers["Allow"] == "GET, HEAD"
    assert b"/metrics" in server.request(path="/")[2]
    assert list(families(server.request(path=ANSWERS[2][1])[2].decode())) == ["shmctl_used_bytes"]
    assert server.end(signal.SIGTERM) == (143, "", "")


def test_what_prometheus_asks_for(server: Server) -> None:
    """Packed, and as OpenMetrics."""
    _, headers, packed = server.request(headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert families(gzip.decompress(packed).decode())
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    _, headers, body = server.request(headers={"Accept": accept})
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_each_scrape_is_fresh(server: Server, name: str) -> None:
    """What others do in /dev/shm meanwhile keeps from counting, so an owner of its own."""
    owner = 70000 + os.getpid()
    key = f"owner_objects{{owner={owner},verdict=kept}}"
    assert key not in server.scrape()
    done("create", name, "--size", "4K", "--reserve")
    if os.geteuid() == 0:
        os.chown(path_of(name), owner, -1)
        assert server.scrape()[key] == 1
    done("rm", name)
    assert key not in server.scrape()


def test_many_at_once(server: Server) -> None:
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: server.scrape(), range(24)))
    assert all(each["collection_success"] == 1 for each in found)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it(server: Server, number: int, status: int) -> None:
    """Also with a client that has not asked yet."""
    with server.connect() as client:
        client.sendall(b"GET /met")
        server.scrape()
        assert server.end(number) == (status, "", "")
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_it_can_listen_there_again_at_once() -> None:
    with Server() as first:
        first.scrape()
        port = first.port
        first.end(signal.SIGTERM)
    with Server(str(port)) as second:
        assert second.port == port
        assert second.scrape()


def test_somebody_listens_there(server: Server) -> None:
    result = run("metrics", "--listen", f":{server.port}")
    assert (result.status, result.text) == (1, "")
    assert result.errors == (
        f"shmctl: metrics: 127.0.0.1:{server.port}: bind: Address already in use (EADDRINUSE)\n"
        "hint: with port 0 the system chooses one that is free\n"
    )


@pytest.mark.parametrize(
    ("listen", "status", "message"),
    [
        ("192.0.2.1:0", 1, "192.0.2.1:0: bind: Cannot assign requested address (EADDRNOTAVAIL)"),
        ("no such host:1", 2, "invalid address 'no such host:1': it is ADDR:PORT, as in 127.0.0.1:9100"),
        ("a..b:1", 2, "unknown address 'a..b'"),
        ("9100x", 2, "invalid address '9100x': it is ADDR:PORT, as in 127.0.0.1:9100"),
    ],
)
def test_where_it_cannot_listen(listen: str, status: int, message: str) -> None:
    result = run("metrics", "--listen", listen)
    assert (result.status, result.errors.splitlines()[0]) == (status, f"shmctl: metrics: {message}")


def test_ipv6() -> None:
    """Or, on a host without it, an error."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        assert run("metrics", "--listen", "[::1]:0").status == 1
    else:
        with Server("[::1]:0") as server:
            assert server.said.startswith("shmctl: metrics: listening on http://[::1]:")
            assert server.scrape()


def test_a_name_and_no_name_for_loopback() -> None:
    for listen in ("0", ":0", "localhost:0"):
        with Server(listen) as server:
            assert server.scrape()


# Clients that misbehave


def test_clients_that_go_away(server: Server) -> None:
    for request in (b"", b"GET", b"GET /metrics HTTP/1.1\r\n\r\n", b"\0\xff" * 100 + b"\r\n\r\n"):
        for _ in range(4):
            with server.connect() as client:
                # Close without a word, and throw away what comes.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(request)
    assert server.scrape()
    assert server.end(signal.SIGTERM) == (143, "", "")


def test_requests_that_make_no_sense(server: Server) -> None:
    for request in (b"nonsense\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"G" * 70000 + b"\r\n\r\n"):
        with server.connect() as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            assert b" 200 " not in client.makefile("rb").readline()
    assert server.end(signal.SIGTERM) == (143, "", "")


def test_slow_clients_do_not_keep_others_waiting(server: Server) -> None:
    """More of them than it serves at a time: then the oldest go."""
    slow = [server.connect() for _ in range(CONNECTIONS + 10)]
    try:
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        for _ in range(3):
            assert server.scrape()
        slow[0].settimeout(PATIENCE / 2)
        assert slow[0].recv(1) == b""
    finally:
        for client in slow:
            client.close()


def nothing() -> Collected | None:
    return None


@contextmanager
def serving(collector: TotalsCollector, patience: float) -> Iterator[MetricsServer]:
    with MetricsServer(Address("127.0.0.1", 0), metrics_application(collector), patience=patience) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(TIMEOUT)


def test_patience_ends() -> None:
    """Also with those who send a little, now and then."""
    with serving(TotalsCollector(nothing, {}), patience=0.3) as server:
        silent = socket.create_connection(("127.0.0.1", server.address.port), timeout=TIMEOUT)
        drip = socket.create_connection(("127.0.0.1", server.address.port), timeout=TIMEOUT)
        with silent, drip:
            assert silent.recv(1) == b""
            with pytest.raises(OSError, match=r"reset|pipe"):
                deadline = time.monotonic() + TIMEOUT
                while time.monotonic() < deadline:
                    drip.sendall(b"G")
                    time.sleep(0.02)


def test_one_collection_at_a_time() -> None:
    running = threading.Lock()
    overlaps = 0

    def gather() -> None:
        nonlocal overlaps
        if not running.acquire(blocking=False):
            overlaps += 1
            return
        time.sleep(0.02)
        running.release()

    collector = TotalsCollector(gather, {})
    threads = [threading.Thread(target=collector.collect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert overlaps == 0


# Collections that fail


def test_a_collection_that_fails(tmp_path: Path) -> None:
    """Is told once, is a metric, and does not keep the next one from succeeding."""
    (tmp_path / "shmctl").mkdir()
    file = tmp_path / "shmctl/families.toml"
    with Server(env={"XDG_CONFIG_HOME": str(tmp_path)}) as server:
        assert server.scrape()["collection_success"] == 1
        file.write_text("nonsense = 1\n")
        for _ in range(2):
            found = server.scrape()
            assert found["collection_success"] == 0
            assert "used_bytes" not in found
            assert any(key.startswith("build_info") for key in found)
        assert server.next_error().startswith(f"shmctl: metrics: {file}: ")
        file.unlink()
        assert server.scrape()["collection_success"] == 1
        status, _, errors = server.end(signal.SIGTERM)
        assert (status, errors) == (143, "")


@pytest.mark.needs_root
def test_target(tmp_path: Path) -> None:
    with Server(options=["--target", str(os.getpid())]) as server:
        assert server.scrape()[f"collection_success{{target={os.getpid()}}}"] == 1


@pytest.mark.needs_root
def test_it_hears_of_new_users(tmp_path: Path) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text())
    with private_place(setup=f"mount --bind {passwd} /etc/passwd") as place:
        os.chown(place.make("/x"), 70000, -1)
        with Server(enter=place.enter) as server:
            assert server.scrape()["owner_objects{owner=70000,verdict=kept}"] == 1
            with passwd.open("a") as file:
                file.write("late:x:70000:1::/:/bin/sh\n")
            assert server.scrape()["owner_objects{owner=late,verdict=kept}"] == 1
