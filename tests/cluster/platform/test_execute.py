"""Commands in pods: what they print, their exit status, their standard input, and the time that they may take."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.kube import ApiError, KubernetesApi
from tests.cluster.conftest import RunningPlatform
from vitalops.conventions import LABEL_NAME, NAMESPACE_DATA
from vitalops.errors import RemoteError
from vitalops.ports.cluster import Executed


@pytest.fixture(scope="module")
def api(running_platform: RunningPlatform) -> KubernetesApi:
    region = running_platform.pair.primary
    return KubernetesApi(region, running_platform.kubeconfig(region), None)


@pytest.fixture(scope="module")
def pod(api: KubernetesApi) -> str:
    found = api.request(
        "GET", f"/api/v1/namespaces/{NAMESPACE_DATA}/pods", query={"labelSelector": f"{LABEL_NAME}=postgres"}
    )
    return str(found["items"][0]["metadata"]["name"])


def run(api: KubernetesApi, pod: str, *command: str, send: str = "", timeout: float = 30.0) -> Executed:
    return api.execute(NAMESPACE_DATA, pod, command, container="postgres", send=send, timeout=timeout)


def test_status_and_both_streams_come_back(api: KubernetesApi, pod: str) -> None:
    done = run(api, pod, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.status, done.output, done.errors) == (7, "out\n", "err\n")


def test_standard_input_arrives_whole_and_ends(api: KubernetesApi, pod: str) -> None:
    sent = "räksmörgås\n" * 100_000
    assert run(api, pod, "cat", send=sent).output == sent


def test_a_command_that_takes_too_long_is_no_longer_waited_for(api: KubernetesApi, pod: str) -> None:
    with pytest.raises(RemoteError, match="sleep has not ended within 1 s"):
        run(api, pod, "sleep", "3", timeout=1)


def test_what_never_ran_is_told_from_what_failed(api: KubernetesApi, pod: str) -> None:
    with pytest.raises(RemoteError, match="executable file not found"):
        run(api, pod, "no-such-program")
    with pytest.raises(ApiError) as refused:
        run(api, "no-such-pod", "true")
    assert refused.value.status == 404


def test_threads_do_not_mix_their_commands(api: KubernetesApi, pod: str) -> None:
    def echoed(number: int) -> bool:
        assert "items" in api.request("GET", f"/api/v1/namespaces/{NAMESPACE_DATA}/pods")
        return run(api, pod, "cat", send=str(number)).output == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(echoed, range(16)))
