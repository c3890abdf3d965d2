"""Measures the published figures: `make bench`. Apart from the tests, since machines are noisy."""
