"""All that results say, of every kind, in one snapshot: what changes in a word or in a layout is seen here.

After a wanted change: ``python tests/test_wording.py``, and read the difference in git.
"""

import difflib
import re
import sys
from pathlib import Path
from typing import cast

sys.path.append(str(Path(__file__).parent / "support"))

from every_kind import KINDS, NAMED

from tetviz.figures import draw, draw_named, named_figures, printed, to_markdown
from tetviz.figures.registry import view_of
from tetviz.figures.table import Table
from tetviz.figures.view import TableOf

SNAPSHOT = Path(__file__).parent / "data" / "wording.txt"


def said() -> str:
    """Terminal text, captions of pictures, tables by name and lists of names, of planted results."""
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
    return re.sub(r"Measured with tetviz [^ ]+\.(?=\n|$)", "Measured with tetviz VERSION.", "\n\n".join(parts)) + "\n"


def test_results_say_what_they_said() -> None:
    known, now = SNAPSHOT.read_text(encoding="utf-8").splitlines(), said().splitlines()
    changed = "\n".join(difflib.unified_diff(known, now, "known", "now", lineterm="", n=0))
    assert not changed, changed


if __name__ == "__main__":
    SNAPSHOT.write_text(said(), encoding="utf-8")
