"""Writes docs/cli.md from the help texts of the commands; with --check, exits 1 where the file is stale."""

import sys
from pathlib import Path

import click

from tetviz.cli import main

TARGET = Path(__file__).resolve().with_name("cli.md")
WIDTH = 100
HEADER = """\
# Command line

Written by `docs/generate_cli.py` from what `tetviz COMMAND --help` prints; do not edit it. Progress and notes
go to stderr, tables to stdout. Exit codes: 0 done, 1 an error that the message explains,
2 a wrong command line, 130 stopped by Ctrl-C.
"""


def render() -> str:
    """The reference of all commands.

    Returns:
        Markdown, a section for the group and one for each command.
    """
    root = _context("tetviz", main, None)
    parts = [HEADER, _section("tetviz", root)]
    for name in main.list_commands(root):
        command = main.get_command(root, name)
        assert command is not None
        parts.append(_section(f"tetviz {name}", _context(name, command, root)))
    return "\n".join(parts)


def _context(name: str, command: click.Command, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _section(title: str, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{click.unstyle(context.get_help())}\n```\n"


if __name__ == "__main__":
    wanted = render()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != wanted:
            sys.exit(f"{TARGET.name} is stale: run docs/generate_cli.py")
    elif sys.argv[1:]:
        sys.exit("usage: generate_cli.py [--check]")
    else:
        TARGET.write_text(wanted, encoding="utf-8")
