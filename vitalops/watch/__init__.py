"""What `vitalops watch` knows at a moment, and how it is gathered. How it looks is in `cli.watch`."""
