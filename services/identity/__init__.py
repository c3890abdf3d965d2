"""Identity: OpenID provider of the platform, and the only service that knows names and addresses."""
