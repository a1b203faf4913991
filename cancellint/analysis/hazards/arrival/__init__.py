"""Cancellations that do not arrive, or arrive where they do harm."""
