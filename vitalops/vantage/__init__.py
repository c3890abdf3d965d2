"""Looking at a pair's regions: probes over HTTPS, the edge's word, and the loop that asks them all at once."""
