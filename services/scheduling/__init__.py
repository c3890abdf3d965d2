"""Slots that practitioners publish and appointments that patients book."""
