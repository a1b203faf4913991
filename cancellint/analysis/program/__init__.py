"""The modules of a program, linked: names, classes, imports, declared promises."""
