"""Declared and required cancel-safety."""
