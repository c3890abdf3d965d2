"""The edge process: ports that are taken, processes that are not ours."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from infra.edge.listeners import listener_of
from infra.edge.process import EdgeProcess
from vitalops.errors import UsageError
from vitalops.model.platform import EdgeListener


def process(folder: Path, port: int = 8443) -> EdgeProcess:
    return EdgeProcess("france", EdgeListener(port=port), folder)


def test_a_taken_port_is_refused_in_one_line_that_names_the_owner(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            UsageError, match=rf"edge of france cannot listen on 127.0.0.1:{port}: taken"
        ) as raised:
            process(tmp_path, port).require_free_port()
        assert f"(process {os.getpid()})" in str(raised.value)
        assert "\n" not in str(raised.value)
    process(tmp_path, port).require_free_port()


def test_listener_of_a_free_port_is_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert listener_of(port) == ""


# Its own number, as "itself": a name that is the same in every worker of the tests.
@pytest.mark.parametrize("text", ["", "no number", "0", "itself"])
def test_a_pid_file_of_another_process_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / "haproxy.pid").write_text(str(os.getpid()) if text == "itself" else text)
    assert process(tmp_path).pid() is None


def test_stopping_what_does_not_run_removes_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "haproxy.pid").write_text("999999999")
    (tmp_path / "edge.pem").write_text("key")
    assert process(tmp_path).stop() is False
    assert list(tmp_path.iterdir()) == []
