"""What observes a region: metrics, alerts, traces, logs and the prober."""
