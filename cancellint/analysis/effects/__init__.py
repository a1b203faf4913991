"""What one step does, in its function's own terms."""
