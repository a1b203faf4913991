"""Finds what Python async code loses, leaks or leaves half done when an await is cancelled."""

__version__ = "0.1.0"
