"""Frozen data, shared by all stages."""
