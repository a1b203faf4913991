"""Futures: who completes them, who waits, who is left."""
