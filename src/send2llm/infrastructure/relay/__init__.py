"""Hands events on to a message broker, at least once."""
