"""Compilers of HAProxy configuration: a region's API gateway and a pair's edge."""
