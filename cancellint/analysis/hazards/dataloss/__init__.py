"""Data that was taken and is lost."""
