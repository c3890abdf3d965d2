"""A registry for one test: the parts of the OCI distribution protocol that a push needs, in memory, on loopback."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Registry(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        """By `repository:tag`."""
        self.uploads: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _path(self) -> tuple[str, list[str]]:
        parts = urlsplit(self.path).path.removeprefix("/v2/").split("/")
        for kind in ("blobs", "manifests"):
            if kind in parts:
                place = parts.index(kind)
                return "/".join(parts[:place]), parts[place:]
        return "", parts

    def do_GET(self) -> None:
        self._look()

    def do_HEAD(self) -> None:
        self._look()

    def _look(self) -> None:
        match self._path():
            case (_, ["blobs", digest]) if digest in self.server.blobs:
                self._answer(200, {"Docker-Content-Digest": digest}, self.server.blobs[digest])
            case (repository, ["manifests", tag]) if f"{repository}:{tag}" in self.server.manifests:
                self._answer(200, body=self.server.manifests[f"{repository}:{tag}"])
            case ("", [""]):
                self._answer(200)
            case _:
                self._answer(404)

    def do_POST(self) -> None:
        repository, _ = self._path()
        self._body()
        upload = uuid.uuid4().hex
        self.server.uploads[upload] = b""
        self._answer(202, {"Location": f"/v2/{repository}/blobs/uploads/{upload}"})

    def do_PATCH(self) -> None:
        upload = urlsplit(self.path).path.rpartition("/")[2]
        self.server.uploads[upload] += self._body()
        end = len(self.server.uploads[upload]) - 1
        self._answer(202, {"Location": self.path, "Range": f"0-{end}"})

    def do_PUT(self) -> None:
        repository, rest = self._path()
        body = self._body()
        if rest[0] == "manifests":
            self.server.manifests[f"{repository}:{rest[1]}"] = body
            self._answer(201, {"Docker-Content-Digest": f"sha256:{hashlib.sha256(body).hexdigest()}"})
            return
        content = self.server.uploads.pop(rest[2]) + body
        digest = parse_qs(urlsplit(self.path).query)["digest"][0]
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            self._answer(400)
            return
        self.server.blobs[digest] = content
        self._answer(201, {"Docker-Content-Digest": digest})


@contextmanager
def running_registry() -> Iterator[Registry]:
    registry = Registry()
    thread = threading.Thread(target=registry.serve_forever)
    thread.start()
    try:
        yield registry
    finally:
        registry.shutdown()
        thread.join()
        registry.server_close()
