"""Backups of a region's database by pgBackRest: what runs beside PostgreSQL, and what is known of a repository.

It runs in the database's image, so it imports nothing of the suite but `conventions` and `errors`.
"""
