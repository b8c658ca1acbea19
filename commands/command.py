"""What every command can do besides: take options from a TOML file, and old spellings of options."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from tetviz.commands import COMMANDS
from tetviz.commands.console import note
from tetviz.commands.toml import read_toml
from tetviz.errors import TetvizError, unknown


class Command(click.Command):
    """A command whose options may stand in a file too.

    Args:
        renamed: old spellings of options, for one version, and what to write instead.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.renamed = dict(renamed or {})
        self.params.append(
            click.Option(
                ["--config"],
                metavar="FILE.toml",
                type=click.Path(path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=_take_defaults,
                help=f"Options from a file, in a table [{self.name}]; the command line wins.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [self.respelled(word, ctx.resilient_parsing) for word in args])

    def invoke(self, ctx: click.Context) -> Any:
        if "TORCHELASTIC_RUN_ID" in os.environ and self.name != "train":
            raise click.UsageError(f"torchrun is for tetviz train; {self.name} takes --workers, or runs alone", ctx)
        return super().invoke(ctx)

    def respelled(self, word: str, silent: bool = False) -> str:
        """A word of the command line in today's spelling."""
        option, equals, value = word.partition("=")
        if option not in self.renamed:
            return word
        if not silent:
            note(f"{option} is called {self.renamed[option]} from now on; the old name will go with the next version")
        return f"{self.renamed[option]}{equals}{value}"


command: Callable[..., Callable[[Callable[..., Any]], Command]] = partial(click.command, cls=Command)


def _take_defaults(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None or ctx.resilient_parsing:
        return
    try:
        tables = read_toml(path, TetvizError)
    except TetvizError as error:
        raise click.UsageError(f"--config {error}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise click.UsageError(f"--config {path}: {name} stands in no table; options stand below [COMMAND]")
        if name not in COMMANDS:
            raise click.UsageError(f"--config {path}: {unknown('command', name, COMMANDS)}")
    assert isinstance(ctx.command, Command)
    ctx.default_map = dict(_defaults(ctx.command, tables.get(str(ctx.command.name), {}), path))


def _defaults(command: Command, table: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    options = {
        option.removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option) and not param.is_eager
        for option in param.opts
        if option.startswith("--")
    }
    for key, value in table.items():
        name = command.respelled(f"--{key.replace('_', '-')}").removeprefix("--")
        if name not in options:
            raise click.UsageError(f"--config {path}: [{command.name}] {unknown('option', key, options)}")
        param = options[name]
        words = value if param.multiple and isinstance(value, list) else [value]
        if any(isinstance(word, bool) != param.is_flag or isinstance(word, list | dict) for word in words):
            expected = "true or false" if param.is_flag else "a list of values" if param.multiple else "one value"
            raise click.UsageError(f"--config {path}: [{command.name}] {key} = {value!r}: expected {expected}")
        texts = words if param.is_flag else [str(word) for word in words]  # read as on the command line
        yield str(param.name), texts if param.multiple else texts[0]
