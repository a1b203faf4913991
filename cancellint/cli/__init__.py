"""The command line. The only package that prints or exits."""

from cancellint.cli.app import cli, main, process

__all__ = ["cli", "main", "process"]
