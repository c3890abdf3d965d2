"""The terminal dashboard: how a snapshot looks, and the terminal that it is shown on."""
