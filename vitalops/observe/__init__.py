"""Adapters that ask a region: metrics, alerts, traces and logs."""
