"""Whether a region is lost: a pure decision over what several places outside of it see."""
