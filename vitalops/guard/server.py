"""The guard's two doors: its report for other places over TLS, and everything else on the pod's loopback alone."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from vitalops.errors import VitalopsError
from vitalops.fencing.report import GUARD_PATH, to_json
from vitalops.guard.guard import Guard
from vitalops.guard.operations import Operations

_SECONDS: Final = 10.0
_LONGEST: Final = 65536
_TEXT: Final = "application/json"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    # One packet for an answer: otherwise the second waits for an acknowledgement of the first.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        return

    def answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", _TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def public(guard: Guard, port: int, certificate: str, key: str, address: str = "") -> ThreadingHTTPServer:
    """GET of the report, and nothing else."""

    class Handler(_Handler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path != GUARD_PATH:
                self.answer(http.client.NOT_FOUND, "{}")
                return
            asker = parse_qs(url.query).get("from", [""])[0]
            report = guard.answer(asker)
            if report is None:
                self.answer(http.client.SERVICE_UNAVAILABLE, "{}")
            else:
                self.answer(http.client.OK, to_json(report))

    class Server(_Server):
        """Takes a renewed certificate without a restart: the files are looked at twice a second."""

        stamp = 0.0

        def service_actions(self) -> None:
            with contextlib.suppress(OSError):
                stamp = os.stat(certificate).st_mtime
                if stamp != self.stamp:
                    context.load_cert_chain(certificate, key)
                    self.stamp = stamp

    server = Server((address, port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    # The handshake is made by the connection's own thread, when it first reads.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def local(operations: Operations, port: int) -> ThreadingHTTPServer:
    """What Patroni and, by commands in the pod, operations ask for. Reached from inside of the pod alone."""

    class Handler(_Handler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            if length > _LONGEST:
                self.answer(http.client.REQUEST_ENTITY_TOO_LARGE, "{}")
                return
            self._say(self.rfile.read(length).decode())

        def do_GET(self) -> None:
            self._say("{}")

        def _say(self, text: str) -> None:
            try:
                asked: dict[str, Any] = json.loads(text or "{}")
                found = operations.run(urlsplit(self.path).path.strip("/"), asked)
                self.answer(http.client.OK, json.dumps(found, default=_plain))
            except VitalopsError as error:
                said = {"error": str(error), "kind": type(error).__name__, "hint": error.hint}
                self.answer(http.client.CONFLICT, json.dumps(said))
            except Exception as error:
                said = {"error": f"{type(error).__name__}: {error}", "kind": "RemoteError", "hint": ""}
                self.answer(http.client.INTERNAL_SERVER_ERROR, json.dumps(said))

    return _Server(("127.0.0.1", port), Handler)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no event."""
        return


Serve = Callable[[], None]
