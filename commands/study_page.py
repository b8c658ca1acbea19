"""The page of a study, from the result files in its folder."""

from collections.abc import Sequence
from pathlib import Path

from tetviz.commands.console import note, say
from tetviz.commands.study_plan import Job, Plan
from tetviz.errors import ResultError
from tetviz.figures.report.study import study_html, study_markdown
from tetviz.figures.study import Part, study_parts
from tetviz.figures.table import Table, to_text
from tetviz.results import Result, load, write_whole
from tetviz.summaries.evidence import evidence_of
from tetviz.summaries.names import counted


def write_page(plan: Plan, folder: Path, jobs: Sequence[Job], left: int) -> None:
    """Writes ``study.html`` and ``study.md``, and prints the verdicts.

    Args:
        folder: where they go.
        jobs: all commands of the plan, whose result files are taken as far as they are there and whole.
        left: how many of them are not done.

    Raises:
        ResultError: there is no finished result.
    """
    found: list[Result] = [load(job.target) for job in jobs if job.target.exists()]
    whole = [result for result in found if result.whole]
    if not whole:
        raise ResultError(f"{folder}: there is no finished result of the study {plan.name}; leave out --page-only")
    overview = f"{counted(len(whole), 'result')} of plan {plan.name}"
    if left:
        overview += f"; unfinished: {left} of its {len(jobs)} commands are not done"
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
