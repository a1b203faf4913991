"""Queues that nothing bounds."""
