"""Stand-ins for the gateways of two regions, and an edge before them: real HAProxy, real TLS, on loopback."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.edge.process import EdgeFiles, EdgeProcess
from infra.gateway.edge import (
    GATEWAY_NAME,
    HOLD_FILE,
    MAP_FILE,
    EdgeConfig,
    compile_edge,
    compile_hold,
    compile_map,
)
from vitalops.model.platform import EdgeListener
from vitalops.pki.authority import CertificateAuthority

REGIONS = ("fr-par", "fr-gra")


@dataclass
class Gateway:
    """Answers every request with its region's name; a request to upgrade gets an echo of lines."""

    region: str
    context: ssl.SSLContext
    port: int = 0
    requests: list[str] = field(default_factory=list[str])
    _server: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list[socket.socket])

    def start(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stop(self) -> None:
        """As a lost region: nothing listens, and what was open is gone."""
        if self._server is not None:
            # Closing alone leaves the thread in accept(), and the port open.
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), self.context.wrap_socket(connection, server_side=True) as secured:
            stream = secured.makefile("rwb")
            while request := stream.readline():
                headers = {}
                while (line := stream.readline().strip()) and b":" in line:
                    name, _, value = line.partition(b":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get(b"content-length", b"0")))
                if headers.get(b"upgrade"):
                    stream.write(
                        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
                    )
                    stream.flush()
                    while said := stream.readline():
                        stream.write(self.region.encode() + b" heard " + said)
                        stream.flush()
                    return
                verb, path, _ = request.decode().split()
                if path != "/healthz":
                    self.requests.append(f"{verb} {path} {body.decode()}".strip())
                answer = self.region.encode()
                head = f"HTTP/1.1 200 OK\r\nx-vitalops-region: {self.region}\r\ncontent-length: {len(answer)}\r\n\r\n"
                stream.write(head.encode() + answer)
                stream.flush()


@dataclass
class Client:
    """One connection to the edge."""

    stream: ssl.SSLSocket

    def ask(
        self, path: str = "/x", *, method: str = "GET", body: str = "", headers: str = ""
    ) -> tuple[int, str]:
        """Status and body of one request on this connection."""
        text = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n{headers}\r\n{body}"
        self.stream.sendall(text.encode())
        reader = self.stream.makefile("rb")
        status = int(reader.readline().split()[1])
        length = 0
        while line := reader.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, reader.read(length).decode()

    def upgrade(self, room: str) -> int:
        """Become the signalling connection of somebody in `room`; from here on `say` works."""
        claims = (
            base64.urlsafe_b64encode(json.dumps({"video": {"room": room}}).encode()).rstrip(b"=").decode()
        )
        return self.ask(
            f"/rtc?access_token=e30.{claims}.c2ln&reconnect=0",
            headers="connection: upgrade\r\nupgrade: echo\r\n",
        )[0]

    def say(self, text: str) -> str:
        self.stream.sendall(f"{text}\n".encode())
        return self.stream.recv(4096).decode().strip()


@dataclass
class Bench:
    """The edge and what is behind it."""

    process: EdgeProcess
    files: EdgeFiles
    gateways: dict[str, Gateway]
    authority: str
    issuer: CertificateAuthority
    clients: list[Client] = field(default_factory=list[Client])

    def connect(self) -> Client:
        context = ssl.create_default_context(cadata=self.authority)
        plain = socket.create_connection(("127.0.0.1", self.process.listener.port), timeout=10)
        self.clients.append(Client(context.wrap_socket(plain, server_hostname="localhost")))
        return self.clients[-1]


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """`folder` must be short: a socket's path has 107 characters at most. Everything is ended at the end."""
    authority = CertificateAuthority.create("test")
    issued = authority.issue("gateway", dns=[GATEWAY_NAME])
    (folder / "gateway.pem").write_text(issued.certificate_pem + issued.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "gateway.pem")
    gateways = {region: Gateway(region, context) for region in REGIONS}
    for gateway in gateways.values():
        gateway.start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = EdgeListener(port=server.getsockname()[1])
    addresses = {region: f"127.0.0.1:{gateway.port}" for region, gateway in gateways.items()}
    config = EdgeConfig("france", listener, addresses, str(folder / "edge"), drain_seconds=60)
    edge = authority.issue("edge", dns=["localhost"], ip=["127.0.0.1"], client=True)
    texts = {
        "haproxy.cfg": compile_edge(config),
        MAP_FILE: compile_map(config, REGIONS[0]),
        HOLD_FILE: compile_hold(config),
        "ca.crt": authority.certificate_pem,
    }
    process = EdgeProcess("france", listener, folder / "edge")
    files = EdgeFiles(texts, edge.certificate_pem + edge.key_pem, authority.certificate_pem)
    made = Bench(process, files, gateways, authority.certificate_pem, authority)
    try:
        process.ensure(files)
        yield made
    finally:
        for client in made.clients:
            client.stream.close()
        process.stop()
        for gateway in gateways.values():
            gateway.stop()
