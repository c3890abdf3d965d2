"""Leading clients to a pair's active region: adapters of `vitalops.ports.traffic`."""
