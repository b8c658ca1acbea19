"""Hooks of mkdocs: what mkdocstrings and mkdocs-click document, and formulas that need no script to be read."""

import html
import inspect
import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import click
from latex2mathml.converter import convert

from tetviz.cli import main

ROOT = Path(__file__).resolve().parents[1]


COLUMNS = 100  # of text that a page shows without breaking it
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_startup(command: str, dirty: bool) -> None:
    """Prepares the sources of the two references, that of Python and that of the command line."""
    copy_package()
    main.context_settings["terminal_width"] = COLUMNS
    context = click.Context(main)
    for each in (main, *(main.get_command(context, name) for name in main.list_commands(context))):
        if each is not None:
            each.help = fence_examples(each.help or "")


def copy_package() -> None:
    """Leaves the modules of every package where mkdocs.yml lets mkdocstrings look for them.

    The folder of the repository is the package, but it holds more than that.
    """
    copy = Path(os.environ.get("API_SOURCE", ROOT / "build" / ".api"))
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shutil.rmtree(copy, ignore_errors=True)
    for package in settings["tool"]["setuptools"]["packages"]:
        parts = package.split(".")
        target = copy.joinpath(*parts)
        target.mkdir(parents=True)
        for module in ROOT.joinpath(*parts[1:]).glob("*.py"):
            shutil.copy(module, target)


def fence_examples(text: str) -> str:
    """A help text in Markdown: what click does not rewrap, examples of calls, becomes a block of code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"```text{each[1:]}\n```" if each.startswith("\b") else each for each in paragraphs)


def on_page_content(content: str, **others: Any) -> str:
    """Sets formulas in MathML, and takes away what in docstrings says to other tools what a name is."""
    content = FORMULA.sub(lambda formula: mathml(formula[2], block=formula[1] == "div"), content)
    content = re.sub(r":(?:attr|class|data|func|meth|mod):(?=<code>)", "", content)
    return content.replace("::</p>", ":</p>")


def mathml(latex: str, block: bool) -> str:
    """What every browser sets by itself."""
    formula: str = convert(html.unescape(latex), display="block" if block else "inline")
    return f'<div class="formula">{formula}</div>' if block else formula
