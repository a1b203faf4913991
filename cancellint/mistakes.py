"""What users have to put right themselves."""


class Mistake(Exception):
    """Something that keeps a run from being made; its text says what, and what to do next."""
