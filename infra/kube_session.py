"""A requests session with the credentials that the Kubernetes client has read from a kubeconfig."""

from __future__ import annotations

from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

POOL: Final = 16


class _Bearer(AuthBase):
    """Asks the configuration at each request: its hook runs the exec plug-in again when a token has run out."""

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        found = self._configuration.auth_settings().get("BearerToken")
        if found and found.get("value"):
            request.headers["Authorization"] = found["value"]
        elif self._configuration.username:
            request.headers["Authorization"] = self._configuration.get_basic_auth_token()
        return request


class _NamedServer(HTTPAdapter):
    """For kubeconfigs whose `tls-server-name` is not the host in the URL."""

    def __init__(self, server_name: str) -> None:
        self._server_name = server_name
        super().__init__(pool_connections=POOL, pool_maxsize=POOL)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(  # pyright: ignore[reportUnknownMemberType]
            *args, server_hostname=self._server_name, assert_hostname=self._server_name, **kwargs
        )


def session_of(configuration: Any) -> requests.Session:
    """A new session; the files that it names live as long as this process."""
    session = requests.Session()
    # A netrc or a REQUESTS_CA_BUNDLE of the user's must not replace the kubeconfig's credentials and authority.
    session.trust_env = False
    session.auth = _Bearer(configuration)
    session.verify = (configuration.ssl_ca_cert or True) if configuration.verify_ssl else False
    if configuration.cert_file:
        session.cert = (
            (configuration.cert_file, configuration.key_file)
            if configuration.key_file
            else configuration.cert_file
        )
    host, none = str(configuration.host), configuration.no_proxy or ""
    if configuration.proxy and not requests.utils.should_bypass_proxies(host, none):
        session.proxies = {"http": configuration.proxy, "https": configuration.proxy}
    name = configuration.tls_server_name
    adapter = _NamedServer(name) if name else HTTPAdapter(pool_connections=POOL, pool_maxsize=POOL)
    session.mount("https://", adapter)
    session.mount("http://", HTTPAdapter(pool_connections=POOL, pool_maxsize=POOL))
    return session
