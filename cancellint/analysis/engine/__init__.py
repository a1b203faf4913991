"""Graph and fixpoint machinery that knows nothing of Python."""
