"""The session that others ask a cluster with: a kubeconfig's credentials, whatever the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
import yaml

from infra.kube import KubernetesApi
from infra.operations.observe import Backend, through
from vitalops import conventions as c
from vitalops.pki import CertificateAuthority


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create("test authority")


def api(
    folder: Path, authority: CertificateAuthority, user: dict[str, object], **cluster: object
) -> KubernetesApi:
    ca = folder / "ca.crt"
    ca.write_text(authority.certificate_pem)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "one",
                "cluster": {
                    "server": "https://10.0.0.1:6443",
                    "certificate-authority": str(ca),
                    **{key.replace("_", "-"): value for key, value in cluster.items()},
                },
            }
        ],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
        "current-context": "here",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return KubernetesApi("fr-par", path, None)


def sent(session: requests.Session) -> requests.PreparedRequest:
    return session.prepare_request(requests.Request("GET", "https://10.0.0.1:6443/api"))


def test_client_certificates_and_authority(tmp_path: Path, authority: CertificateAuthority) -> None:
    made = authority.issue("me", dns=(), ip=(), client=True)
    (tmp_path / "me.crt").write_text(made.certificate_pem)
    (tmp_path / "me.key").write_text(made.key_pem)
    user = {"client-certificate": str(tmp_path / "me.crt"), "client-key": str(tmp_path / "me.key")}
    session = api(tmp_path, authority, user).session()
    assert session.cert == (str(tmp_path / "me.crt"), str(tmp_path / "me.key"))
    assert Path(str(session.verify)).read_text() == authority.certificate_pem
    assert "Authorization" not in sent(session).headers


def test_a_token_goes_along(tmp_path: Path, authority: CertificateAuthority) -> None:
    session = api(tmp_path, authority, {"token": "abc"}).session()
    assert sent(session).headers["Authorization"] == "Bearer abc"


def test_a_plugins_token_is_fetched_again_when_it_has_run_out(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    # An exec plug-in whose tokens have run out as soon as they are made: each call counts.
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f'echo x >> "{tmp_path}/calls"\n'
        f'n=$(wc -l < "{tmp_path}/calls" | tr -d " ")\n'
        'echo "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\", \\"kind\\": \\"ExecCredential\\",'
        ' \\"status\\": {\\"token\\": \\"token-$n\\", \\"expirationTimestamp\\": \\"2020-01-01T00:00:00Z\\"}}"\n'
    )
    plugin.chmod(0o755)
    user: dict[str, object] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    session = api(tmp_path, authority, user).session()
    first = sent(session).headers["Authorization"]
    second = sent(session).headers["Authorization"]
    assert first.startswith("Bearer token-")
    assert second.startswith("Bearer token-")
    assert first != second


def test_the_environment_replaces_neither_authority_nor_credentials(
    tmp_path: Path, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere/else.pem")
    session = api(tmp_path, authority, {"token": "abc"}).session()
    settings = session.merge_environment_settings("https://10.0.0.1:6443", {}, None, None, None)
    assert settings["verify"] == session.verify
    assert "else.pem" not in str(session.verify)


def test_a_proxy_is_used_unless_the_cluster_is_exempt(
    tmp_path: Path, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("no_proxy", raising=False)
    assert (
        api(tmp_path, authority, {"token": "abc"}).session().proxies["https"] == "http://proxy.example:3128"
    )
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")
    assert api(tmp_path, authority, {"token": "abc"}).session().proxies == {}


def test_a_server_may_have_another_name_than_its_address(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    session = api(tmp_path, authority, {"token": "abc"}, tls_server_name="kubernetes").session()
    adapter = session.get_adapter("https://10.0.0.1:6443/api")
    assert adapter.poolmanager.connection_pool_kw["server_hostname"] == "kubernetes"  # type: ignore[attr-defined]


@pytest.mark.parametrize("backend", Backend)
def test_backends_are_behind_the_api_servers_proxy(
    backend: Backend, tmp_path: Path, authority: CertificateAuthority
) -> None:
    found = through(api(tmp_path, authority, {"token": "abc"}), backend)
    assert found.base_url == (
        f"https://10.0.0.1:6443/api/v1/namespaces/{c.NAMESPACE_TELEMETRY}"
        f"/services/{backend.service}:{backend.port}/proxy"
    )
    assert "abc" not in repr(found)
