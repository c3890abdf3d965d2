"""The edge of a failover pair as a process of this machine."""
