"""Requests whose replies are left to others."""
