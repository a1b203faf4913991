"""What code under check uses of cancellint, without the linter: `markers` and `testing`."""
