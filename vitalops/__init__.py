"""The core: what is true of any platform. Knows nothing of the CLI, Pulumi, Locust or Kubernetes clients."""
