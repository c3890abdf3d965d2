"""What goes wrong on the way to a region's telemetry, in one line that names the region."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from vitalops.errors import RemoteError

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS: Final = 5.0


def unreachable(region: str, what: str, error: Exception) -> RemoteError:
    """No answer at all: the cluster is gone, or the network to it."""
    words = " ".join(str(error).split()) or type(error).__name__
    return RemoteError(
        f"region {region}: {what} is not reached ({words[:160]})", hint=f"see `vitalops status {region}`"
    )


def refusal(region: str, what: str, status: int, text: str) -> RemoteError:
    """An answer that is none. The API server's own answers (it is asked to pass the request on) are told apart from
    the backend's by their `kind`."""
    body = _document(text)
    said = str(body.get("message") or body.get("error") or " ".join(text.split()))[:300]
    if body.get("kind") == "Status":
        if status == 404:
            return RemoteError(
                f"region {region}: {what} is not installed", hint=f"install it: vitalops up {region}"
            )
        if status in (401, 403):
            return RemoteError(
                f"region {region}: these credentials may not ask {what}: {said}",
                hint="they need `get` on services/proxy in the namespace vitalops-telemetry",
            )
        return RemoteError(
            f"region {region}: {what} is not ready: {said}", hint=f"see `vitalops status {region}`"
        )
    if status in (400, 422):
        return RemoteError(f"region {region}: {what} refused the question: {said}")
    return RemoteError(
        f"region {region}: {what} answered {status}: {said}", hint=f"see `vitalops status {region}`"
    )


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def refusing(region: str, what: str) -> Callable[..., None]:
    """A hook for `session.hooks["response"]` that raises `refusal` for every answer but 200."""

    def check(response: requests.Response, *_: object, **__: object) -> None:
        if response.status_code != 200:
            raise refusal(region, what, response.status_code, response.text)

    return check


def get_json(
    session: requests.Session,
    url: str,
    *,
    region: str,
    what: str,
    params: dict[str, str] | None = None,
    timeout: float = 30.0,
) -> Any:
    """The JSON at `url`. Raises RemoteError, naming the region, for anything else."""
    import requests

    try:
        response = session.get(url, params=params, timeout=(CONNECT_SECONDS, timeout))
        if response.status_code != 200:
            raise refusal(region, what, response.status_code, response.text)
        return response.json()
    except requests.exceptions.JSONDecodeError as error:
        raise RemoteError(f"region {region}: {what} answered with something that is no JSON") from error
    except requests.RequestException as error:
        raise unreachable(region, what, error) from error
