"""The configuration files of a region's processes. Pure: each is a function from the layout to text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.regions.layout import Layout

CLUSTER_DOMAIN = "cluster.local"
MAXIMUM_PODS = 200


def kubelet(region: Layout) -> str:
    pki = region.pki
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": region.addresses.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{region.containerd_socket}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{region.cgroup}/pods",
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": [],
            "clusterDNS": [region.addresses.dns_service],
            "clusterDomain": CLUSTER_DOMAIN,
            # A pod's resolver knows the cluster's DNS only: regions have no way out.
            "resolvConf": "/dev/null",
            "podLogsDir": str(region.pod_logs),
            "volumePluginDir": str(region.kubelet / "volume-plugins"),
            "maxPods": MAXIMUM_PODS,
            "nodeStatusUpdateFrequency": "5s",
            "containerLogMaxSize": "5Mi",
            "containerLogMaxFiles": 2,
            # Images are loaded, not pulled: one that the kubelet throws away cannot be had again. 100 switches it off.
            "imageGCHighThresholdPercent": 100,
            "serializeImagePulls": False,
            # The node's rules are nft tables of ours and kube-proxy's; the kubelet needs none.
            "makeIPTablesUtilChains": False,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
        }
    )


def proxy(region: Layout, kubeconfig: Path) -> str:
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "mode": "nftables",
            "clusterCIDR": region.addresses.pods,
            "hostnameOverride": region.name,
            "bindAddress": region.addresses.node,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # A database that has just become the primary is reached at once: the default gathers changes for a second.
            "nftables": {"minSyncPeriod": "100ms"},
            # These limits belong to the whole machine, not to this namespace.
            "conntrack": {"maxPerCore": 0, "min": 0},
        }
    )


def containerd(region: Layout, *, runc: str, cni_folder: str, sandbox_image: str) -> str:
    return f"""version = 3
root = "{region.images}"
state = "{region.containerd_run}"
# What is not used: other snapshotters, and folders that two containerds would share.
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{region.containerd_socket}"

[ttrpc]
  address = "{region.containerd_socket}.ttrpc"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{sandbox_image}"

[plugins.'io.containerd.cri.v1.runtime']
  netns_mounts_under_state_dir = true
  # Without CAP_SYS_RESOURCE (in many containers) a pod's score may not be lowered; this keeps to what may be set.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = "{runc}"
  Root = "{region.run / "runc"}"

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{cni_folder}"]
  conf_dir = "{region.config / "cni"}"
"""


def pod_network(region: Layout) -> str:
    """Every pod has a routed link of its own (ptp), no bridge: a reply always passes the node's connection tracking,
    which behind a bridge needs a kernel module (br_netfilter) that not every machine has loaded."""
    return _json(
        {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(region.run / "ipam"),
                        "ranges": [
                            [
                                {
                                    "subnet": region.addresses.pods,
                                    "gateway": region.pod_gateway,
                                    "rangeStart": region.first_pod_address,
                                }
                            ]
                        ],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                }
            ],
        }
    )


def authentication(region: Layout) -> str:
    """Nobody is anonymous, except to ask whether the server lives."""
    return _json(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "anonymous": {
                "enabled": True,
                "conditions": [{"path": path} for path in ("/livez", "/readyz", "/healthz")],
            },
        }
    )


def audit_policy(region: Layout) -> str:
    """Who changed what, without contents: secrets never reach the log. Leases and events are left out as noise."""
    return _json(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                {
                    "level": "None",
                    "resources": [
                        {"group": "coordination.k8s.io", "resources": ["leases"]},
                        {"group": "events.k8s.io", "resources": ["events"]},
                        {"group": "", "resources": ["events"]},
                        {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
                        {"group": "authorization.k8s.io", "resources": ["subjectaccessreviews"]},
                    ],
                },
                {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
                {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "pods/exec"]}]},
                {"level": "None"},
            ],
        }
    )


def corefile(region: Layout, kubeconfig: Path) -> str:
    """Cluster names and nothing else: any other name does not exist, at once, instead of waiting for a way out."""
    return f"""{CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    bind {region.dns_address}
    errors
    ready 127.0.0.1:8181
    health 127.0.0.1:8080
    prometheus {region.dns_address}:9153
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig} {region.name}
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    bind {region.dns_address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def files(
    region: Layout, kubeconfigs: Mapping[str, Path], *, runc: str, cni_folder: str, sandbox_image: str
) -> dict[Path, str]:
    """Every configuration file by its path."""
    folder = region.config
    return {
        folder / "kubelet.json": kubelet(region),
        folder / "proxy.json": proxy(region, kubeconfigs["proxy"]),
        folder / "containerd.toml": containerd(
            region, runc=runc, cni_folder=cni_folder, sandbox_image=sandbox_image
        ),
        folder / "cni/10-pods.conflist": pod_network(region),
        folder / "authentication.json": authentication(region),
        folder / "audit-policy.json": audit_policy(region),
        folder / "Corefile": corefile(region, kubeconfigs["coredns"]),
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1)
