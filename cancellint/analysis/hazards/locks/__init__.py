"""Locks of an event loop that tasks wait for in vain, and those that guard nothing."""
