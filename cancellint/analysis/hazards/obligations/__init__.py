"""What was taken on and is not discharged: resources, state, cleanup."""
