"""What the program does: names, types, library knowledge, summaries, and the analyses on top of them."""
