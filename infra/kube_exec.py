"""Commands in a cluster's pods, over the API server's websocket: the one module that imports `websocket`.

The official client's `stream` swaps a method of the client that every thread shares and cannot end a command's
standard input, so the protocol is spoken here: each frame begins with the number of its channel
(v5.channel.k8s.io, whose channel 255 closes another one).
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import websocket

from vitalops.errors import RemoteError
from vitalops.ports.cluster import Executed

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
STATUS: Final = 3
CLOSE: Final = 255
PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""The first one can end standard input (Kubernetes 1.30 and newer)."""
CHUNK: Final = 32 * 1024
KEPT: Final = 64 * 1024 * 1024
"""Bytes of output beyond which a command is not waited for."""


class Refused(Exception):
    """The API server answered the request for a websocket with another HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.text = text


def execute(
    configuration: Any,
    where: str,
    path: str,
    command: Sequence[str],
    *,
    container: str,
    send: str,
    timeout: float,
) -> Executed:
    """Run `command`; `path` is the pod's `exec` subresource. `where` names the pod in messages.

    The command itself is not ended when the time is over: Kubernetes has no way to.

    Raises Refused, RemoteError.
    """
    deadline = time.monotonic() + timeout
    query: list[tuple[str, str]] = [("command", word) for word in command]
    query += [("stdout", "true"), ("stderr", "true")]
    query += [("container", container)] * bool(container) + [("stdin", "true")] * bool(send)
    try:
        connection = _connect(configuration, f"{path}?{urlencode(query)}", timeout)
    except websocket.WebSocketBadStatusException as error:
        raise Refused(
            int(error.status_code), bytes(error.resp_body or b"").decode("utf-8", "replace")
        ) from error
    except (websocket.WebSocketException, OSError, ValueError) as error:
        raise RemoteError(f"{where}: the cluster does not answer ({_one_line(error)[:160]})") from error
    try:
        return _talk(connection, where, send.encode(), deadline, timeout)
    except websocket.WebSocketTimeoutException as error:
        raise RemoteError(
            f"{where}: {command[0]} has not ended within {timeout:g} s", hint="it may still be running there"
        ) from error
    except (websocket.WebSocketException, OSError) as error:
        raise RemoteError(
            f"{where}: the connection broke while {command[0]} ran ({_one_line(error)[:160]})",
            hint="it may still be running there",
        ) from error
    finally:
        connection.shutdown()


def _connect(configuration: Any, target: str, timeout: float) -> websocket.WebSocket:
    host = str(configuration.host).rstrip("/")
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE}
    if not configuration.verify_ssl:
        options["check_hostname"] = False
    for key, value in (
        ("ca_certs", configuration.ssl_ca_cert),
        ("certfile", configuration.cert_file),
        ("keyfile", configuration.key_file),
        ("server_hostname", configuration.tls_server_name),
    ):
        if value:
            options[key] = value
    token = configuration.auth_settings().get("BearerToken") or {}
    return websocket.create_connection(
        host.replace("http", "ws", 1) + target,
        timeout=min(timeout, 10.0),
        sslopt=options,
        header={"Authorization": token["value"]} if token.get("value") else None,
        subprotocols=list(PROTOCOLS),
        suppress_origin=True,
        **_proxy(configuration),
    )


def _proxy(configuration: Any) -> dict[str, Any]:
    """The kubeconfig's proxy or none: what the environment says is in the configuration already."""
    from urllib.parse import urlparse

    from requests.utils import should_bypass_proxies

    if not configuration.proxy or should_bypass_proxies(
        str(configuration.host), configuration.no_proxy or ""
    ):
        return {"http_no_proxy": ["*"]}
    found = urlparse(str(configuration.proxy))
    made: dict[str, Any] = {
        "http_proxy_host": found.hostname,
        "http_proxy_port": found.port,
        "proxy_type": found.scheme or "http",
    }
    if found.username:
        made["http_proxy_auth"] = (found.username, found.password or "")
    return made


def _talk(
    connection: websocket.WebSocket, where: str, sent: bytes, deadline: float, timeout: float
) -> Executed:
    if sent and connection.getsubprotocol() != PROTOCOLS[0]:
        raise RemoteError(
            f"{where}: its API server cannot end a command's standard input",
            hint="it needs Kubernetes 1.30 or newer",
        )
    connection.settimeout(timeout)
    for begin in range(0, len(sent), CHUNK):
        connection.send_binary(bytes([STDIN]) + sent[begin : begin + CHUNK])
    if sent:
        connection.send_binary(bytes([CLOSE, STDIN]))
    heard: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    # The status may overtake the last output: only the end of the connection says that everything was heard.
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise websocket.WebSocketTimeoutException("time is over")
        connection.settimeout(left)
        try:
            opcode, frame = connection.recv_data_frame(True)
        except websocket.WebSocketConnectionClosedException:
            break
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        data = (
            bytes(frame.data) if opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) else b""
        )
        if data and data[0] in heard:
            heard[data[0]] += data[1:]
            if len(heard[data[0]]) > KEPT:
                raise RemoteError(f"{where}: the command printed more than {KEPT >> 20} MiB")
    return Executed(
        exit_status(bytes(heard[STATUS]), where),
        heard[STDOUT].decode("utf-8", "replace"),
        heard[STDERR].decode("utf-8", "replace"),
    )


def exit_status(told: bytes, where: str) -> int:
    """From the Status object that ends a command. Raises RemoteError where it never ran, or nothing was said."""
    try:
        status = json.loads(told)
        if status["status"] == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or ()
        for cause in causes:
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        message = str(status.get("message", "no reason given"))
    except (ValueError, KeyError, TypeError):
        message = "the connection ended before the command did"
    # The reason is at the end: before it stands who told whom.
    raise RemoteError(f"{where}: {message.strip()[-200:]}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
