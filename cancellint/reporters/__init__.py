"""A report as text, pure: what is printed where is decided elsewhere."""
