"""From one function's facts to what its callers need."""
