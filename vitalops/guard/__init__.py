"""The guard beside PostgreSQL: keeps a region's standing, watches the other region and the witness, and fences."""
