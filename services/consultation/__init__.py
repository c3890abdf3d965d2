"""Signalling of video consultations: waiting room, join tokens, lifecycle."""
