"""The command line: `tandemrec COMMAND`. Every command is a thin call of the library; --help on every level."""

from tandemrec.cli.parser import main

__all__ = ["main"]
