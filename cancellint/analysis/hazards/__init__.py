"""One package per family of hazards; families do not see each other."""
