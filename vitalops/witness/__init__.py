"""The third place of a pair: it watches both regions from outside, and says or does what follows from a loss."""
