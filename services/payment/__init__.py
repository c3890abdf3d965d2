"""Payments through a provider, and their invoices. Card data never comes here."""
