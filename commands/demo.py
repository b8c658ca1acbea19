"""``tetviz demo``: the whole story on the handwritten digits that scikit-learn ships."""

from pathlib import Path

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.values import SEED


@command()
@click.argument("folder", metavar="[DIR]", default="demo", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of training and plane.")
@click.option("--force", is_flag=True, help="Replace what an earlier demo left in DIR.")
def demo(folder: Path, seed: int, force: bool) -> None:
    """Tell the whole story in a few minutes, on bundled data, and leave it in DIR.

    Trains one small network twice from the same seed, with L_SDT and with L_TET, then measures the loss surface
    around both, runs both for up to 64 timesteps, and counts what they compute in up to 8: the TET paper's Figures 2,
    8 and 4B and its Table 4.
    """
    tetviz.commands.demonstration.run(folder, seed, force)
