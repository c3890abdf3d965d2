"""Regions on this machine: upstream Kubernetes in a network namespace each, no Docker and no virtual machine."""
