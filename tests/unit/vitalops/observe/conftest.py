"""A server on loopback that gives recorded answers and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

Answer = tuple[int, str]


@dataclass(slots=True)
class Recorded:
    """`answers` by path, in the order in which they are given; the last one is given from then on."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict[str, list[Answer]])
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    fall_silent: bool = False

    def give(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found.asked.append(
                (parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()})
            )
            if found.fall_silent:
                self.close_connection = True
                return
            answers = found.answers[parts.path]
            status, text = answers.pop(0) if len(answers) > 1 else answers[0]
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Recorded(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made
