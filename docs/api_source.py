"""Hooks of mkdocs: a copy of the package alone to document, and the last traces of markup that is not Markdown."""

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_startup(command: str, dirty: bool) -> None:
    """Copies the modules of every package to where mkdocs.yml lets mkdocstrings look for them.

    The folder of the repository is the package, but it holds more than that.

    Args:
        command: of mkdocs, such as ``build``.
        dirty: whether only changed pages are built.
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


def on_page_content(html: str, **page: Any) -> str:
    """Takes the roles and the double colons of docstrings away, which say to other tools what a name is.

    Args:
        html: a page.
        **page: what else mkdocs tells of it.

    Returns:
        The page.
    """
    html = re.sub(r":(?:attr|class|data|func|meth|mod):(?=<code>)", "", html)
    return html.replace("::</p>", ":</p>")
