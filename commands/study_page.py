"""The page of a study."""

from collections.abc import Sequence
from pathlib import Path

from tetviz.commands.study_plan import Job, Plan


def write_page(plan: Plan, folder: Path, jobs: Sequence[Job], left: Sequence[Job]) -> None:
    """Writes it."""
