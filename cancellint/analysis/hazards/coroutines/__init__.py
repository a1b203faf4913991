"""Coroutines that are made and never awaited."""
