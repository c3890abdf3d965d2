"""The processes of a region and their command lines. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.regions.certificates import FRONT_PROXY_USER
from infra.local.regions.layout import Layout
from vitalops.conventions import LABEL_REGION, STORAGE_CLASS_LOCAL

PROVISIONER_NAME = f"vitalops.dev/{STORAGE_CLASS_LOCAL}"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
CONTAINERD = "containerd"
KUBELET = "kubelet"
PROXY = "kube-proxy"
COREDNS = "coredns"
PROVISIONER = "provisioner"
PROCESS_NAMES = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, CONTAINERD, KUBELET, PROXY, COREDNS, PROVISIONER)

DROPPED_CONTROLLERS = (
    # Certificates are issued by the suite, no node or volume is of a cloud, and no address ranges are handed out.
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "node-ipam-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-expander-controller",
    "replicationcontroller-controller",
)


@dataclass(frozen=True, slots=True)
class Program:
    """One long-running process. `inputs` are files whose change asks for a restart."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: tuple[Path, ...] = ()

    def digest(self) -> str:
        """Twelve hexadecimal digits over all that decides how the process behaves."""
        digest = hashlib.sha256()
        for text in (*self.arguments, *(f"{key}={value}" for key, value in sorted(self.environment.items()))):
            digest.update(f"{text}\0".encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]


def _go_memory(mebibytes: int) -> dict[str, str]:
    """A soft limit: near it Go collects harder, it does not fail."""
    return {"GOMEMLIMIT": f"{mebibytes}MiB"}


def programs(
    region: Layout, tools: Mapping[str, Path], kubeconfigs: Mapping[str, Path]
) -> dict[str, Program]:
    """Every program by its name, in the order in which they start."""
    made = (
        _etcd(region, tools),
        _api_server(region, tools),
        _containerd(region, tools),
        _kubelet(region, tools, kubeconfigs["kubelet"]),
        _controllers(region, tools, kubeconfigs["controller-manager"]),
        _scheduler(tools, kubeconfigs["scheduler"]),
        _proxy(region, tools, kubeconfigs["proxy"]),
        _coredns(region, tools, kubeconfigs["coredns"]),
        _provisioner(region, tools, kubeconfigs["provisioner"]),
    )
    return {program.name: program for program in made}


def _etcd(region: Layout, tools: Mapping[str, Path]) -> Program:
    # Over sockets that only root can open, nothing else on the machine or in a pod reaches the cluster's memory.
    clients, peers = f"unix://{region.etcd_socket}", f"unix://{region.etcd_peer_socket}"
    return Program(
        ETCD,
        (
            str(tools["etcd"]),
            f"--name={region.name}",
            f"--data-dir={region.etcd}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster={region.name}={peers}",
            "--quota-backend-bytes=1073741824",
            "--log-level=warn",
        ),
        _go_memory(200),
    )


def _api_server(region: Layout, tools: Mapping[str, Path]) -> Program:
    pki, config = region.pki, region.config
    inputs = (
        pki / "apiserver.crt",
        pki / "apiserver-kubelet.crt",
        pki / "ca.crt",
        pki / "front-proxy.crt",
        pki / "front-proxy-ca.crt",
        pki / "encryption.json",
        pki / "service-accounts.pub",
        config / "authentication.json",
        config / "audit-policy.json",
    )
    return Program(
        API_SERVER,
        (
            str(tools["kube-apiserver"]),
            f"--etcd-servers=unix://{region.etcd_socket}",
            f"--advertise-address={region.addresses.node}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={region.addresses.services}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--service-account-key-file={pki}/service-accounts.pub",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--authentication-config={config}/authentication.json",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--encryption-provider-config={pki}/encryption.json",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            # Otherwise logs and exec look the node's name up in a DNS that does not know it.
            "--kubelet-preferred-address-types=InternalIP",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            f"--requestheader-allowed-names={FRONT_PROXY_USER}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--allow-privileged",
            f"--audit-policy-file={config}/audit-policy.json",
            f"--audit-log-path={region.logs}/audit.log",
            "--audit-log-maxsize=20",
            "--audit-log-maxbackup=1",
            "--max-requests-inflight=200",
            "--max-mutating-requests-inflight=100",
            "--profiling=false",
        ),
        _go_memory(700),
        inputs,
    )


def _containerd(region: Layout, tools: Mapping[str, Path]) -> Program:
    # containerd finds its shim, and runc's helpers, on PATH.
    path = f"{tools['containerd-shim-runc-v2'].parent}:{SYSTEM_PATH}"
    config = region.config / "containerd.toml"
    return Program(
        CONTAINERD,
        (str(tools["containerd"]), f"--config={config}"),
        {"PATH": path, **_go_memory(300)},
        (config, region.config / "cni/10-pods.conflist"),
    )


def _kubelet(region: Layout, tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    config = region.config / "kubelet.json"
    labels = {
        "topology.kubernetes.io/region": region.name,
        "topology.kubernetes.io/zone": f"{region.name}-1",
        LABEL_REGION: region.name,
    }
    return Program(
        KUBELET,
        (
            str(tools["kubelet"]),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={region.kubelet}",
            f"--cert-dir={region.kubelet}/pki",
            f"--hostname-override={region.name}",
            f"--node-ip={region.addresses.node}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
        ),
        _go_memory(300),
        (config, kubeconfig, region.pki / "kubelet.crt", region.pki / "ca.crt"),
    )


def _controllers(region: Layout, tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    pki = region.pki
    return Program(
        CONTROLLERS,
        (
            str(tools["kube-controller-manager"]),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--service-account-private-key-file={pki}/service-accounts.key",
            f"--root-ca-file={pki}/ca.crt",
            "--use-service-account-credentials",
            "--leader-elect=false",
            f"--controllers=*,{','.join(f'-{name}' for name in DROPPED_CONTROLLERS)}",
            "--node-monitor-grace-period=20s",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--profiling=false",
        ),
        _go_memory(250),
        (kubeconfig, pki / "service-accounts.pub", pki / "ca.crt"),
    )


def _scheduler(tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    return Program(
        SCHEDULER,
        (
            str(tools["kube-scheduler"]),
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ),
        _go_memory(200),
        (kubeconfig,),
    )


def _proxy(region: Layout, tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    config = region.config / "proxy.json"
    path = {"PATH": SYSTEM_PATH}  # for nft
    return Program(
        PROXY,
        (str(tools["kube-proxy"]), f"--config={config}"),
        {**path, **_go_memory(150)},
        (config, kubeconfig),
    )


def _coredns(region: Layout, tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    config = region.config / "Corefile"
    return Program(COREDNS, (str(tools["coredns"]), f"-conf={config}"), _go_memory(150), (config, kubeconfig))


def _provisioner(region: Layout, tools: Mapping[str, Path], kubeconfig: Path) -> Program:
    return Program(
        PROVISIONER,
        (
            str(tools["provisioner"]),
            f"-kubeconfig={kubeconfig}",
            f"-root={region.volumes}",
            f"-node={region.name}",
            f"-name={PROVISIONER_NAME}",
        ),
        _go_memory(100),
        (kubeconfig,),
    )
