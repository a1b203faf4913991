"""Functions in a normal form: what means the same is written the same, before anything is analysed.

A value that is bound to a variable first, a helper that was taken out of a function, a property around an
attribute: none of them changes what a program does, so none may change what is found. Each analysis would
have to see through all of them; here they are taken away once, on the representation.
"""
