"""Serve metrics over HTTP; a slow client does not block the others."""

import errno
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from shmctl.cli import messages
from shmctl.cli.addresses import Address
from shmctl.core.errors import FileError, InputError, ShmError
from shmctl.render.metrics import Collected, TotalsCollector

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

COMMAND = "metrics"
PATH = "/metrics"
PATIENCE = 30.0
"""The longest a client may take, in seconds, from its connection to the end of the response."""
CONNECTIONS = 64
"""The number of clients served at once; one more closes the oldest connection."""
_PLAIN = ("Content-Type", "text/plain; charset=utf-8")


class MetricsServer(ThreadingWSGIServer):
    """An HTTP server with one thread a connection and a time limit for each."""

    request_queue_size = 64

    def __init__(
        self,
        address: Address,
        application: "WSGIApplication",
        *,
        patience: float = PATIENCE,
        connections: int = CONNECTIONS,
    ) -> None:
        self.address_family, place = _resolve(address)
        self._patience = patience
        self._connections = connections
        self._since: dict[socket.socket, float] = {}
        try:
            super().__init__(place, _Handler)
        except OSError as error:
            raise _cannot_listen(address, error) from error
        self.set_app(application)
        self.address = Address(address.host, self.server_port)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host name, which may wait for a name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start serving a client."""
        if len(self._since) >= self._connections:
            self._end_connection(next(iter(self._since)))
        self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a client that has been served."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close connections that exceed the time limit."""
        latest = time.monotonic() - self._patience
        for request, since in list(self._since.items()):
            if since < latest:
                self._end_connection(request)

    def _end_connection(self, request: socket.socket) -> None:
        self._since.pop(request, None)
        try:
            # Its thread gets an error or the end of the stream, and closes it.
            request.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnected."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def _resolve(address: Address) -> tuple[int, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"unknown address '{address.host}'") from error
    return found[0][0], found[0][4]


def _cannot_listen(address: Address, error: OSError) -> FileError:
    number = error.errno or errno.EIO
    hint = {
        errno.EADDRINUSE: "with port 0 the system chooses one that is free",
        errno.EACCES: "ports below 1024 require root",
    }.get(number)
    return FileError("bind", str(address).encode(), number, hint=hint)


class _Gathering:
    """Collects by ``gather``; reports a repeated error once, not at each scrape."""

    def __init__(self, gather: Callable[[], Collected]) -> None:
        self._gather = gather
        self._said = ""

    def __call__(self) -> Collected | None:
        try:
            found = self._gather()
        except (OSError, InputError) as problem:
            if str(problem) != self._said:
                self._say(problem)
            self._said = str(problem)
            return None
        self._said = ""
        return found

    def _say(self, problem: OSError | InputError) -> None:
        if isinstance(problem, ShmError):
            messages.failure(COMMAND, problem)
        else:
            messages.error(str(problem), getattr(problem, "hint", None), COMMAND)


def metrics_application(collector: TotalsCollector) -> "WSGIApplication":
    """Return the WSGI application: metrics at /metrics, a pointer to them at /, else 404."""
    registry = CollectorRegistry()
    registry.register(collector)
    metrics = make_wsgi_app(registry)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        status, headers, body = _answer(metrics, environ)
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return application


_Answer = tuple[str, list[tuple[str, str]], bytes]


def _answer(metrics: "WSGIApplication", environ: "WSGIEnvironment") -> _Answer:
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return "405 Method Not Allowed", [_PLAIN, ("Allow", "GET, HEAD")], b"only GET and HEAD\n"
    if environ["PATH_INFO"] == "/":
        return "200 OK", [_PLAIN], f"shmctl: the metrics are at {PATH}\n".encode()
    if environ["PATH_INFO"] != PATH:
        return "404 Not Found", [_PLAIN], f"nothing here; the metrics are at {PATH}\n".encode()
    told: list[Any] = []

    def note(*status_and_headers: Any) -> Callable[[bytes], object]:
        told.extend(status_and_headers)
        return told.append

    try:
        # The library does not know HEAD.
        body = b"".join(metrics({**environ, "REQUEST_METHOD": "GET"}, note))
        return told[0], told[1], body
    except Exception as problem:
        messages.internal_error(problem, COMMAND)
        return "500 Internal Server Error", [_PLAIN], b"shmctl failed, and says how on its standard error\n"


def serve(
    address: Address, gather: Callable[[], Collected], common: Mapping[str, str], labels: Sequence[str]
) -> None:
    """Serve the metrics of what ``gather`` gives, as `TotalsCollector` has them, until a signal ends it.

    Reports the address on standard error. Raises FileError if it cannot
    listen there, and InputError for an unknown host.
    """
    application = metrics_application(TotalsCollector(_Gathering(gather), common, labels))
    with MetricsServer(address, application) as server:
        messages.error(f"listening on http://{server.address}{PATH}", command=COMMAND)
        server.serve_forever()
