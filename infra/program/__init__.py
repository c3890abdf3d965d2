"""The Pulumi programs: one stack per region, one small stack per failover pair's edge."""
