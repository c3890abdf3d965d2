"""Signed prescriptions that a third party can verify."""
