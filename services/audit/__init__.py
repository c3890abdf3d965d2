"""Audit: what was done to whose data, kept so that nobody can change it unnoticed."""
