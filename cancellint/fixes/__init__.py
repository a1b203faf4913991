"""What `--fix` does to the source: one file per kind of edit, and what is common to them."""
