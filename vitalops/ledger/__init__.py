"""A ledger of numbered writes: what a platform acknowledged, and whether it still has it."""
