"""Which object is meant: access paths, owners, holders."""
