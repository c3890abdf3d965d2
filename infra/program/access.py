"""How a region's cluster is reached. Imports neither Pulumi nor components: what only asks a cluster starts fast."""

from __future__ import annotations

import os
from pathlib import Path

from infra.components.args import ClusterAccess
from infra.kube import KubernetesApi
from vitalops.model.platform import Platform
from vitalops.paths import Paths


def cluster_access(platform: Platform, paths: Paths, region: str) -> ClusterAccess:
    """How a region's cluster is reached: a local region's own kubeconfig, or a context of the user's."""
    cluster = platform.regions[region].cluster
    if cluster == "local":
        return ClusterAccess(str(paths.kubeconfig(region)), None)
    configured = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return ClusterAccess(configured, cluster.context)


def connect(platform: Platform, paths: Paths, region: str) -> KubernetesApi:
    """The API of a region's cluster. Raises RemoteError where there is no way to it."""
    access = cluster_access(platform, paths, region)
    return KubernetesApi(region, Path(access.kubeconfig), access.context)
