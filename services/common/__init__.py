"""What every reference service shares: application factory, data access, tokens, outbox and health."""
