"""What libraries do: the tables, versions and naming conventions."""
