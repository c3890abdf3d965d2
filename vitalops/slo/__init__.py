"""Service level objectives: which hold for what, the rules compiled from them, and the budgets they leave."""
