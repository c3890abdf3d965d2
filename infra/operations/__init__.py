"""What the CLI's platform commands do: up, preview, render, down, status."""
