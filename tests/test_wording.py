"""All that results and commands say, in one snapshot: what changes in a word or in a layout is seen here.

What is refused in the tests stands beside it, in ``sentences.txt`` (see ``support/wording.py``).

After a wanted change: ``python tests/test_wording.py``, and read the difference in git.
"""

import ast
import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

sys.path.append(str(Path(__file__).parent / "support"))

import click
from every_kind import KINDS, NAMED

from tetviz.cli import main
from tetviz.figures import draw, draw_named, named_figures, printed, to_markdown
from tetviz.figures.registry import view_of
from tetviz.figures.table import Table
from tetviz.figures.view import TableOf

SNAPSHOT = Path(__file__).parent / "data" / "wording.txt"
PACKAGE = Path(__file__).parents[1]


def helped() -> Iterator[str]:
    """What each command does, and what its options are."""
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield f"# tetviz {name}\n\n{inspect.cleandoc(command.help or '').replace(chr(8), '')}"
        yield "\n".join(f"{' '.join(each.opts)}: {getattr(each, 'help', None) or ''}" for each in command.params)


def told_by_commands() -> Iterator[str]:
    """Sentences of commands, as their source has them: what is told takes trained networks to hear."""
    for path in [PACKAGE / "cli.py", *sorted((PACKAGE / "commands").glob("*.py"))]:
        found = dict.fromkeys(map(template, parts_of(ast.parse(path.read_text(encoding="utf-8")))))
        sentences = [each.replace("\n", "\\n") for each in found if len(re.findall(r"(?<!\S)[a-zA-Z]{2,}", each)) > 2]
        yield "\n".join([f"# commands/{path.name}", *sentences])


def parts_of(node: ast.AST) -> Iterator[ast.AST]:
    """Texts of the source, but documentation and options, whose help is held by itself; whole where they have gaps."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.Constant) and isinstance(child.value, str)):
            yield child
        elif not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)) and not is_help(child):
            yield from parts_of(child)


def is_help(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "help"


def template(text: ast.AST) -> str:
    """A text, and {} for what is filled in."""
    if isinstance(text, ast.JoinedStr):
        return "".join(each.value if isinstance(each, ast.Constant) else "{}" for each in text.values)
    return cast(ast.Constant, text).value


def said() -> str:
    """Terminal text, captions of pictures, tables by name and lists of names, of planted results; and help."""
    parts = ["# plot --list", *(f"{name}: {each.about}" for name, (_, each) in named_figures().items())]
    for kind, make in KINDS.items():
        results = make()
        view = view_of(results)
        parts += [f"# {kind}: {view.title} ({view.takes})", view.describe(results[0]), printed(results)]
        parts += ["## caption", draw(results).caption]
    for name, (_, named) in named_figures().items():
        if isinstance(named, TableOf):
            table = cast(Table, draw_named(name, NAMED[name]()))
            parts += [f"# {name}", table.caption, "\n".join([to_markdown(table.cells()), *table.feet])]
    parts += [*helped(), *told_by_commands()]
    return re.sub(r"Measured with tetviz [^ ]+\.(?=\n|$)", "Measured with tetviz VERSION.", "\n\n".join(parts)) + "\n"


def test_results_say_what_they_said() -> None:
    known, now = SNAPSHOT.read_text(encoding="utf-8").splitlines(), said().splitlines()
    changed = "\n".join(difflib.unified_diff(known, now, "known", "now", lineterm="", n=0))
    assert not changed, changed


if __name__ == "__main__":
    SNAPSHOT.write_text(said(), encoding="utf-8")
