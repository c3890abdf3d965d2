"""Messages to people: templates, retries, providers."""
