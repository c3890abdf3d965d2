"""A failover pair's edge on this machine: one HAProxy (master and worker), reloaded without dropping connections."""

from __future__ import annotations

import http.client
import math
import os
import pwd
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.edge.admin import last_checks, map_entries, set_map
from infra.edge.listeners import listener_of
from infra.gateway.edge import ACTIVE_KEY, CALLS_KEY, HOLD_KEY, MAP_FILE, NO_REGION, map_text
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import EdgeListener

_READY_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 10.0
_ORPHAN_SECONDS: Final = 3.0
_USER: Final = "haproxy"


@dataclass(frozen=True, slots=True)
class EdgeFiles:
    """What the process reads. `texts` are the files that are no secret, by name; the configuration names `folder`."""

    texts: Mapping[str, str]
    certificate_and_key: str
    authority: str


@dataclass(frozen=True, slots=True)
class EdgeProcess:
    """The edge of one pair; everything about it is in `folder`, so that any later run finds it again."""

    pair: str
    listener: EdgeListener
    folder: Path
    program: str = "haproxy"

    @property
    def _configuration(self) -> Path:
        return self.folder / "haproxy.cfg"

    @property
    def _map(self) -> Path:
        return self.folder / MAP_FILE

    @property
    def admin(self) -> Path:
        """HAProxy's admin socket."""
        return self.folder / "admin.sock"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "haproxy.pid"

    def pid(self) -> int | None:
        """The running master's process id. A stale file, or a process id used again by another, is no master."""
        try:
            pid = int(self._pid_file.read_text())
            command = _command(pid)
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._configuration) in command else None

    def ensure(self, files: EdgeFiles) -> str:
        """Start, reload or leave alone, until the edge answers. Returns what was done.

        Where a running edge leads is left alone: `route` alone changes that.

        Raises UsageError where the port is taken by something else, RemoteError where HAProxy refuses or does not
        answer.
        """
        running = self.pid()
        if running is None:
            self.end_orphans()
            self.require_free_port()
        changed = self._write(files, running=running is not None)
        if running is not None and not changed:
            return "unchanged"
        self._check()
        if running is None:
            self._start()
        else:
            os.kill(running, signal.SIGUSR2)
        self._await_answer(files.authority)
        return "reloaded" if running is not None else "started"

    def end_orphans(self) -> None:
        """End workers whose master was killed: they hold the port, and nothing can reload them."""
        for pid in self._workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while self._workers():
            if time.monotonic() > deadline:
                for pid in self._workers():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                deadline += _ORPHAN_SECONDS
            time.sleep(0.02)

    def _workers(self) -> list[int]:
        """Processes that were started with this edge's configuration and are not its master."""
        master, found = self.pid(), list[int]()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == master:
                continue
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().split(b"\0")
                ours = os.fsencode(self._configuration) in command
                if ours and os.path.basename(command[0]) == os.fsencode(Path(self.program).name):
                    found.append(int(folder.name))
        return found

    def stop(self) -> bool:
        """End it, giving what is in flight a moment. Returns whether it ran."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    deadline += _STOP_SECONDS
                time.sleep(0.05)
        for file in (self._pid_file, self.admin, self.folder / "edge.pem"):
            file.unlink(missing_ok=True)
        return pid is not None

    def route(self, region: str) -> None:
        """Send new requests to `region` from now on, and after a restart; those that wait are let go.

        The file comes first: whatever happens next, a start finds the newer word. Raises RemoteError where the process
        does not take it.
        """
        self.keep(region)
        for key, value in ((ACTIVE_KEY, region), (CALLS_KEY, NO_REGION), (HOLD_KEY, "0")):
            set_map(self.admin, self._map, key, value)

    def keep(self, region: str) -> None:
        """Have a start or a reload lead to `region`; a process that runs is told nothing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._replace(MAP_FILE, map_text(region), 0o644)

    def route_calls(self, region: str) -> None:
        """Have calls that begin from now on run in `region`; with "" in the active one. `route` ends it too."""
        kept = map_entries(self.admin, self._map).get(ACTIVE_KEY, "")
        self._replace(MAP_FILE, map_text(kept, region), 0o644)
        set_map(self.admin, self._map, CALLS_KEY, region or NO_REGION)

    def calls(self) -> str:
        """What `route_calls` was last told. Raises RemoteError where the edge does not run."""
        found = map_entries(self.admin, self._map).get(CALLS_KEY, NO_REGION)
        return "" if found == NO_REGION else found

    def hold(self, until: float) -> None:
        """Have new requests wait, until `route` or that time (seconds since 1970), whichever is first.

        Kept by the process alone: one that is started anew holds nothing.
        """
        set_map(self.admin, self._map, HOLD_KEY, str(math.ceil(until)))

    def active(self) -> str:
        """Region to which the running process sends new requests. Raises RemoteError where none runs."""
        return map_entries(self.admin, self._map).get(ACTIVE_KEY, "")

    def checks(self) -> dict[str, bool]:
        """Whether the latest health check of each backend passed. Raises RemoteError where none runs."""
        return last_checks(self.admin)

    def answers(self, authority: str, *, timeout: float = 3.0) -> tuple[int, str]:
        """Status of the edge's health page and the region that answered it. Raises OSError where nobody answers."""
        context = ssl.create_default_context(cadata=authority)
        host = "localhost" if self.listener.address in ("127.0.0.1", "::1") else self.listener.address
        connection = http.client.HTTPSConnection(host, self.listener.port, timeout=timeout, context=context)
        try:
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            response.read()
            return response.status, response.getheader("x-vitalops-region") or ""
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def require_free_port(self) -> None:
        """Raises UsageError, naming the owner where it can be seen, when the listener's port is taken."""
        family = socket.AF_INET6 if ":" in self.listener.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.listener.address, self.listener.port))
            except OSError as error:
                owner = listener_of(self.listener.port)
                who = f" by {owner}" if owner else ""
                raise UsageError(
                    f"the edge of {self.pair} cannot listen on {self.listener.address}:{self.listener.port}:"
                    f" taken{who} ({error.strerror})",
                    hint=f"end that process, or set pairs.{self.pair}.edge.port in platform.yaml",
                ) from None

    def _write(self, files: EdgeFiles, *, running: bool) -> bool:
        """Returns whether anything differs from what is there."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        texts = {**files.texts, "haproxy.cfg": _as_user(files.texts["haproxy.cfg"])}
        if running and (kept := self._kept()):
            # As it leads; a map that an older version wrote gets what it lacks.
            texts[MAP_FILE] = map_text(kept[ACTIVE_KEY], kept.get(CALLS_KEY, ""))
        changed = [self._replace(name, text, 0o644) for name, text in texts.items()]
        changed.append(self._replace("edge.pem", files.certificate_and_key, 0o600))
        return any(changed)

    def _kept(self) -> dict[str, str]:
        """The map on disk; empty where there is none that names a region."""
        try:
            rows = [line.split() for line in self._map.read_text().splitlines()]
        except OSError:
            return {}
        found = {row[0]: row[1] for row in rows if len(row) == 2}
        return found if ACTIVE_KEY in found else {}

    def _replace(self, name: str, text: str, mode: int) -> bool:
        path = self.folder / name
        if path.exists() and path.read_text() == text:
            return False
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=mode)
        temporary.write_text(text)
        temporary.replace(path)
        return True

    def _check(self) -> None:
        command = [self.program, "-c", "-q", "-f", str(self._configuration)]
        checked = subprocess.run(command, capture_output=True, text=True)
        if checked.returncode != 0:
            raise RemoteError(
                f"HAProxy refuses the edge's configuration: {_last_line(checked.stderr)}",
                hint=f"see: {' '.join(command)}",
            )

    def _start(self) -> None:
        log = self.folder / "haproxy.log"
        command = [self.program, "-W", "-f", str(self._configuration)]
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        temporary = self._pid_file.with_suffix(".new")
        temporary.write_text(f"{child.pid}\n")
        temporary.replace(self._pid_file)

    def _await_answer(self, authority: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        reason = "no answer"
        while time.monotonic() < deadline:
            if self.pid() is None:
                log = (self.folder / "haproxy.log").read_text(errors="replace")
                raise RemoteError(
                    f"the edge of {self.pair} ended: {_last_line(log)}", hint=f"see {self.folder}"
                )
            try:
                status, _ = self.answers(authority)
                if status == 200:
                    return
                reason = f"its health page says {status}"
            except OSError as error:
                reason = str(error)
            time.sleep(0.1)
        raise RemoteError(
            f"the edge of {self.pair} does not reach its region's gateway: {reason}",
            hint=f"see {self.folder / 'haproxy.log'} and `vitalops status`",
        )


def _command(pid: int) -> list[bytes]:
    """A process's command line. HAProxy's master executes itself anew after it has loaded its configuration, and for
    that moment has none."""
    process = Path(f"/proc/{pid}")
    command = b""
    for _ in range(20):
        command = (process / "cmdline").read_bytes()
        if command or (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.005)
    return command.split(b"\0")


def _as_user(configuration: str) -> str:
    """With privileges dropped after the start, where there are any to drop and the user exists."""
    if os.geteuid() != 0:
        return configuration
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return configuration
    return configuration.replace("global\n", f"global\n  user {_USER}\n  group {_USER}\n", 1)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "ALERT" in line] or text.strip().splitlines()
    return lines[0][:200] if lines else "no reason given"
