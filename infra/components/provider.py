"""The one way in which programs reach a cluster."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from infra.components.args import ClusterAccess


def provider(region: str, access: ClusterAccess) -> k8s.Provider:
    """The explicit provider of one region's cluster. Its identifier decides about replacement, not its kubeconfig."""
    return k8s.Provider(
        f"cluster-{region}",
        cluster_identifier=region,
        kubeconfig=access.kubeconfig,
        context=access.context,
        enable_server_side_apply=True,
        # Changed in place: pods mount them, and a replacement under the same name would take them away meanwhile.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )
