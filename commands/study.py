"""``tetviz study``: everything that a plan names, trained, measured and judged in one page."""

from pathlib import Path

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.options import cluster_options


@command()
@click.argument("plan", metavar="PLAN")
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the data; what a plan names is in it.")
@click.option("--dry-run", is_flag=True, help="Say what is left to be done, and how long it takes, and end.")
@click.option("--page-only", is_flag=True, help="Train and measure nothing: write the page of what is there.")
@cluster_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder, made if missing.  [default: study-PLAN]",
)
def study(plan: str, data_root: Path | None, dry_run: bool, page_only: bool, output: Path | None) -> None:
    """Train and measure what PLAN names, and judge each claim of the TET paper by it, in one page.

    PLAN is quick (minutes), cifar (hours) or paper (for a GPU), or a TOML file of your own. Says how long it takes
    before it starts. Every training and every measurement is a file of its own, by the command that says how it was
    made; what is there already is not made again, and what was stopped goes on with the same command. FOLDER/study.html
    and study.md hold each claim with the estimate, its interval over training seeds and a verdict, and the paper's
    figures and tables.

    \b
    tetviz study quick
    tetviz study quick --workers 2
    tetviz study cifar --data-root data --dry-run
    tetviz study cifar -o study-cifar --page-only
    """
    folder = output or Path(f"study-{Path(plan).stem}")
    tetviz.commands.study_runs.run_study(plan, folder, data_root, dry_run, page_only)
