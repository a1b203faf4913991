"""What an expression is, and what a call reaches."""
