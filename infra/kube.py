"""A Kubernetes API server over HTTP: the one module that imports `kubernetes`.

Only the client's handling of kubeconfig (certificates, tokens, exec plug-ins) and its connection pool are used: objects
go in and come out as the plain JSON that the API speaks, so that nothing depends on generated model classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vitalops.errors import RemoteError
from vitalops.imports import one_thread_imports
from vitalops.ports.cluster import APPLY, MERGE, ApiError, Cluster, Executed, Json, KubeApi

if TYPE_CHECKING:
    import requests

__all__ = ["APPLY", "MERGE", "ApiError", "Cluster", "HttpAccess", "Json", "KubeApi", "KubernetesApi"]


class HttpAccess(Protocol):
    """An API server for libraries that make requests of their own."""

    @property
    def base_url(self) -> str:
        """The API server, as https://host:port."""
        ...

    def session(self) -> requests.Session:
        """A new session with the cluster's credentials."""
        ...


class KubernetesApi:
    """`Cluster` and `HttpAccess` through the official client. Safe to use from several threads."""

    def __init__(self, name: str, kubeconfig: Path | None, context: str | None) -> None:
        with one_thread_imports():
            from kubernetes import client, config  # pyright: ignore[reportMissingTypeStubs]

        self._name = name
        configuration = client.Configuration()
        try:
            config.load_kube_config(
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=configuration,
            )
        except (config.ConfigException, OSError) as error:
            raise RemoteError(
                f"region {name}: its kubeconfig cannot be used: {_one_line(error)}",
                hint=f"start a local region with `vitalops regions start {name}`; else check its `cluster.context`",
            ) from error
        configuration.connection_pool_maxsize = 16
        configuration.retries = False
        self._client = client.ApiClient(configuration)
        self._api_exception = client.ApiException

    @property
    def name(self) -> str:
        return self._name

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
        text = self._send(method, path, query, body, content_type, timeout)
        answer = json.loads(text) if text else {}
        return answer if isinstance(answer, dict) else {"items": answer}

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout: float = 10.0) -> str:
        return self._send("GET", path, query, None, "application/json", timeout)

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
        with one_thread_imports():
            from infra import kube_exec

        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        try:
            return kube_exec.execute(
                self._client.configuration,
                f"region {self._name}: {namespace}/{pod}",
                path,
                command,
                container=container,
                send=send,
                timeout=timeout,
            )
        except kube_exec.Refused as error:
            raise _api_error(self._name, error.status, error.text) from error

    @property
    def base_url(self) -> str:
        return str(self._client.configuration.host).rstrip("/")

    def session(self) -> requests.Session:
        """Certificates, tokens and plug-ins of the kubeconfig; a token that has run out is fetched again when the
        next request is made. What the environment says of proxies and authorities is not asked a second time."""
        with one_thread_imports():
            from infra.kube_session import session_of

        return session_of(self._client.configuration)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None,
        content_type: str,
        timeout: float,
    ) -> str:
        import urllib3

        prepared = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json, */*", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        verb, url, headers, sent, _ = prepared
        try:
            response = self._client.call_api(
                verb, url, header_params=headers, body=sent, _request_timeout=(min(timeout, 5.0), timeout)
            )
            raw: bytes | None = response.read()
        except self._api_exception as error:
            if error.status:
                raise _api_error(self._name, int(error.status), str(error.body or error.reason)) from error
            raise self._unreachable(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        text = (raw or b"").decode("utf-8", "replace")
        if response.status >= 400:
            raise _api_error(self._name, int(response.status), text)
        return text

    def _unreachable(self, error: Exception) -> RemoteError:
        host = str(self._client.configuration.host)
        return RemoteError(
            f"region {self._name}: the cluster at {host} does not answer ({_one_line(error)[:160]})",
            hint=f"see `vitalops regions list`; start a local region with `vitalops regions start {self._name}`",
        )


def _api_error(region: str, status: int, text: str) -> ApiError:
    reason, message = "", text.strip()[:400]
    try:
        body = json.loads(text)
        reason, message = str(body.get("reason", "")), str(body.get("message", message))
    except (ValueError, AttributeError):
        pass
    return ApiError(status, reason, f"region {region}: the API server answered {status} {reason}: {message}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
