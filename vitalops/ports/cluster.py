"""A region's Kubernetes API as operations use it, and its in-memory fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from vitalops.errors import RemoteError

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(RemoteError):
    """The API server refused a request; `status` is HTTP's, `reason` Kubernetes' own word for it."""

    def __init__(self, status: int, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command in a container printed, and its exit status."""

    status: int
    output: str
    errors: str


class KubeApi(Protocol):
    """Objects go in and come out as the plain JSON that the API speaks."""

    @property
    def name(self) -> str:
        """The region."""
        ...

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Json:
        """One request. Raises ApiError for an answer of 400 or more, RemoteError where there is no answer."""
        ...

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> str:
        """A body that is not JSON, such as a log."""
        ...


class Cluster(KubeApi, Protocol):
    """The same, and commands inside of pods."""

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str = "",
        send: str = "",
        timeout: float = 30.0,
    ) -> Executed:
        """Run `command` in a container, `send` on its standard input; secrets go there, never into `command`.

        Raises RemoteError where the pod is not reached or the time is over.
        """
        ...


@dataclass(slots=True)
class FakeCluster:
    """The in-memory fake: answers are functions that a test registers, by method and path; objects are kept.

    A GET of a path that holds an object gives it; PUT, POST (to the collection, by metadata.name), PATCH (merge) and
    DELETE change what is kept. What there is not answers 404.
    """

    name: str = "fake"
    objects: dict[str, Json] = field(default_factory=dict[str, Json])
    executes: Callable[[str, str, Sequence[str], str], Executed] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    executed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list[tuple[str, tuple[str, ...]]])
    fails_with: Callable[[], Exception] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Json:
        del query, content_type, timeout
        self.asked.append((method, path))
        if self.fails_with is not None:
            raise self.fails_with()
        match method:
            case "POST":
                made = body or {}
                self.objects[f"{path}/{made['metadata']['name']}"] = made
                return made
            case "PUT":
                self.objects[path] = body or {}
                return self.objects[path]
            case "PATCH":
                self._present(path)
                self.objects[path] = merged(self.objects[path], body or {})
                return self.objects[path]
            case "DELETE":
                self._present(path)
                return self.objects.pop(path)
            case _:
                if path in self.objects:
                    return self.objects[path]
                inside = f"{path}/"
                items = [
                    value
                    for key, value in self.objects.items()
                    if key.startswith(inside) and "/" not in key.removeprefix(inside)
                ]
                if not items:
                    self._present(path)
                return {"items": items}

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> str:
        del query, timeout
        self._present(path)
        return str(self.objects[path].get("text", ""))

    def execute(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str = "",
        send: str = "",
        timeout: float = 30.0,
    ) -> Executed:
        del container, timeout
        if self.fails_with is not None:
            raise self.fails_with()
        self.executed.append((f"{namespace}/{pod}", tuple(command)))
        if self.executes is None:
            raise RemoteError(f"region {self.name}: no command is expected in {namespace}/{pod}")
        return self.executes(namespace, pod, command, send)

    def _present(self, path: str) -> None:
        if path not in self.objects:
            raise ApiError(404, "NotFound", f"region {self.name}: {path} is not there")


def merged(old: Json, patch: Json) -> Json:
    """RFC 7396: a merge patch applied."""
    made = dict(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            before = made.get(key)
            made[key] = merged(cast(Json, before) if isinstance(before, dict) else {}, cast(Json, value))
        else:
            made[key] = value
    return made
