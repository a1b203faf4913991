"""From bytes to the IR: the only part of the program that knows libcst."""
