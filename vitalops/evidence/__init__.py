"""The evidence journal: what was done, by whom, when and why, in a chain that shows any change."""
