"""The commands of a parser as its --help lists them: by groups, which argparse has for options only."""

import argparse
import shutil
import textwrap
from typing import Any

from tandemrec.pipeline.arguments import sentence

INDENT = 16


class Commands:
    """The commands of a parser. Each stands in a group, and groups in the order of their first commands."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
        self._parser.formatter_class = argparse.RawDescriptionHelpFormatter  # which leaves the listing as it is
        self._commands: Any = parser.add_subparsers(
            dest="command", metavar="COMMAND", required=True, help="one of those below; COMMAND --help says more"
        )
        self._does: dict[str, dict[str, str]] = {}

    def add(self, group: str, name: str, does: str) -> argparse.ArgumentParser:
        self._does.setdefault(group, {})[name] = does
        self._parser.epilog = "\n\n".join(f"{title}:\n{_lines(does)}" for title, does in self._does.items())
        command: argparse.ArgumentParser = self._commands.add_parser(name, description=sentence(does))
        return command

    def add_group(self, group: str, name: str, does: str) -> Any:
        """What commands of two words, of which the first is the name, are added to."""
        return self.add(group, name, does).add_subparsers(dest="what", metavar="WHAT", required=True)


def _lines(does: dict[str, str]) -> str:
    width = shutil.get_terminal_size().columns - 2
    return "\n".join(
        textwrap.fill(text, width, initial_indent=f"  {name:<{INDENT - 2}}", subsequent_indent=" " * INDENT)
        for name, text in does.items()
    )
