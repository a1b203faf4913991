"""Channels between tasks whose receiver waits for an end, or for a change, that nobody tells it."""
