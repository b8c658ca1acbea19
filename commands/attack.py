"""``tetviz attack``: change the input of a network until it errs, beside random changes of the same size."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import ATTACKS, SURROGATES
from tetviz.commands.command import command
from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    output_option,
    run_options,
    samples_option,
    timesteps_option,
)
from tetviz.commands.targets import output_paths, overlay_path
from tetviz.commands.values import SEED, FiniteRange, WholeRange

if TYPE_CHECKING:
    from tetviz.commands.session import Session
    from tetviz.results import AttackRun


@command()
@checkpoints_argument
@click.option(
    "--method",
    type=click.Choice(ATTACKS),
    required=True,
    help="g2s-image: images as Bernoulli spikes. g2s-spike: events. fgsm, bim, pgd: pixels. Noise: gaussian and "
    "salt-and-pepper of pixels, drop of events.",
)
@click.option("--targeted", is_flag=True, help="Towards another class, drawn for each sample.")
@click.option(
    "--iterations", type=WholeRange(1, 1000), default=25, show_default=True, help="At most; fgsm and noise make one."
)
@click.option(
    "--epsilon",
    type=FiniteRange(0, 1, min_open=True),
    default=8 / 255,
    show_default="8/255",
    help="fgsm, bim, pgd: largest change of a pixel, of 1; gaussian: standard deviation; others: share that changes.",
)
@click.option("--budget", type=FiniteRange(0, min_open=True), help="g2s: largest mean squared change.  [default: any]")
@click.option(
    "--penultimate-threshold",
    "threshold",
    type=FiniteRange(-1e6, 1e6),
    help="That the last neurons fire at where gradients are taken.  [default: their own]",
)
@click.option(
    "--surrogate",
    type=click.Choice([name for name in SURROGATES if name != "sigmoid"]),
    help="Where gradients are taken.  [default: the network's own]",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of all random numbers.")
@timesteps_option()
@samples_option(200, "Each takes a backward pass an iteration.")
@data_options
@run_options
@output_option("attack")
def attack(
    checkpoints: tuple[Path, ...],
    method: str,
    targeted: bool,
    iterations: int,
    epsilon: float,
    budget: float | None,
    threshold: float | None,
    surrogate: str | None,
    timesteps: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Change the input of samples that CKPT classifies correctly until it does not.

    Writes CKPT.attack.h5 and CKPT.attack.png: success against the iteration beside random changes of the same size, the
    share of gradients that are all zero, and the accuracy at every T under attack. Several checkpoints are also
    overlaid, in CKPT-CKPT.attack.png (with -o FOLDER in FOLDER/attack.png).

    \b
    tetviz attack sdt.pt tet.pt --method pgd --epsilon 0.1
    tetviz attack sdt.pt tet.pt --method gaussian --epsilon 0.2
    tetviz attack tet.pt --method g2s-image --timesteps 15 --penultimate-threshold 2
    """
    settings: dict[str, Any] = {
        "method": method,
        "targeted": targeted,
        "iterations": iterations,
        "epsilon": epsilon,
        "threshold": threshold,
        "surrogate": surrogate,
    }

    def compute(session: "Session", **how: Any) -> "AttackRun":
        return tetviz.analysis.compute_attack(
            session.model,
            session.dataset,
            timesteps or session.checkpoint.timesteps,
            budget=float("inf") if budget is None else budget,
            seed=options["seed"],
            **settings,
            **how,
        )

    tetviz.commands.measure.run_measurement(
        tetviz.results.AttackRun,
        checkpoints,
        output_paths(checkpoints, output, "attack"),
        sessions=lambda jobs: (tetviz.commands.session.open_session(job.path, **options) for job in jobs),
        measure=tetviz.commands.measure.InOneGo(compute, timesteps=timesteps, budget=budget, **settings),
        draw={"attack": tetviz.figures.draw},
        overlay=overlay_path(checkpoints, output, "attack"),
        force=force,
        as_json=as_json,
    )
