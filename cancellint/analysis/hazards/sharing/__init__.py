"""State that several tasks share, read before an await and written after it."""
