"""Objects of an event loop that other threads use."""
