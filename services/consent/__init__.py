"""Consent: which practitioner may use a patient's data for which purpose, with proof and history."""
