"""Grafana dashboards, compiled from the platform and its objectives.

`model` says what a dashboard is; one module a dashboard builds it, purely; `grafana/` turns it into JSON; `check` asks
a live Prometheus whether every panel would show something.
"""
