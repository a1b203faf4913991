"""Who calls whom, which tasks are spawned and who keeps their handles."""
