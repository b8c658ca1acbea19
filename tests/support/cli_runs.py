"""Commands run in this process, and what the tests of all of them check alike."""

import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from tetviz.cli import main


def run(*args: Any) -> Result:
    """Runs a command, whatever comes of it."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def tetviz(*args: Any, code: int = 0) -> Result:
    """Runs a command that ends with an exit code, and never with a traceback."""
    result = run(*args)
    assert result.exit_code == code, f"{args}: {result.output} {result.exception!r}"
    assert result.exception is None or isinstance(result.exception, SystemExit), f"{args}: {result.exception!r}"
    return result


def refused(folder: Path, *args: Any, code: int = 1, words: tuple[str, ...] = ()) -> str:
    """Runs a command that must fail in one line and leave the folder as it is; gives the line."""
    before = bytes_in(folder)
    result = tetviz(*args, code=code)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert [line.startswith("Error: ") for line in lines].count(True) == 1, result.stderr
    assert lines[-1].startswith("Error: "), f"more than a line: {result.stderr}"
    assert len(lines[-1]) < 1000
    for word in words:
        assert word in lines[-1], lines[-1]
    assert result.stdout == "", f"{args}: {result.stdout}"
    assert bytes_in(folder) == before
    return lines[-1]


def command_named(name: str) -> click.Command:
    """A command of the group."""
    command = main.get_command(click.Context(main), name)
    assert command is not None, f"no command {name}"
    return command


def strict_json(text: str) -> Any:
    """Reads JSON that has no NaN and no infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
