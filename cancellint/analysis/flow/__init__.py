"""What is solved over the control-flow graph of one function."""
