"""What runs a runbook: its model, durable execution, approvals, locks, limits."""
