"""What keeps the event loop from running other tasks."""
