"""Pulumi components of a region, each over pure functions that say what the Kubernetes objects are."""
