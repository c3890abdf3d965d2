"""What several runbooks share: workloads of a cluster, indicators, waiting."""
