"""Tasks started together, and what becomes of the others."""
