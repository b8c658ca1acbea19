"""The page of a study, from the result files in its folder."""

from collections.abc import Sequence
from pathlib import Path

from tetviz.commands.console import note, say
from tetviz.commands.study_plan import Plan
from tetviz.errors import ResultError
from tetviz.figures.report.study import study_html, study_markdown
from tetviz.figures.study import Part, study_parts
from tetviz.figures.table import Table, to_text
from tetviz.results import Result, load, write_whole
from tetviz.summaries.evidence import evidence_of
from tetviz.summaries.names import counted


def write_page(plan: Plan, folder: Path, commands: int, left: int) -> None:
    """Writes ``study.html`` and ``study.md``, and prints the verdicts.

    Args:
        folder: of the result files; all in it and below are taken.
        commands: how many commands the plan has.
        left: how many of them are not done.

    Raises:
        ResultError: there is no finished result.
    """
    found: list[Result] = [load(path) for path in sorted(folder.rglob("*.h5"))]
    whole = [result for result in found if result.whole]
    if not whole:
        raise ResultError(f"{folder}: there is no finished result of the study {plan.name}; leave out --page-only")
    overview = f"{counted(len(whole), 'result')} of plan {plan.name}"
    if left:
        overview += f"; unfinished: {left} of its {commands} commands are not done"
    parts = study_parts(evidence_of(whole), plan.about)
    pages = {
        "study.md": study_markdown(parts, plan.title, overview, folder),
        "study.html": study_html(parts, plan.title, overview),
    }
    for name, text in pages.items():
        write_whole(folder / name, text.encode())
    _print(parts)
    note(f"wrote {', '.join(str(folder / name) for name in pages)}")


def _print(parts: Sequence[Part]) -> None:
    for part in parts:
        for shown in part.shown if part.title.startswith("Verdicts") else ():
            if isinstance(shown, str):
                say(shown)
            elif isinstance(shown.it, Table):
                say(to_text(shown.it))
