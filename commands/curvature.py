"""``tetviz curvature``: the surrogate Hessian, and beside it the true loss at finite radii."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.command import command
from tetviz.commands.console import duration, note
from tetviz.commands.options import (
    checkpoints_argument,
    data_options,
    loss_option,
    movable_options,
    output_option,
    run_options,
    samples_option,
)
from tetviz.commands.targets import output_paths
from tetviz.commands.values import SEED, Parsed, WholeRange, parse_numbers, parse_policy

if TYPE_CHECKING:
    from tetviz.commands.movable import MovableSession
    from tetviz.landscape import Store
    from tetviz.results import Curvature

# Three searches of the Lanczos method, of twenty vectors and a few restarts each.
PRODUCTS_OF_EIGSH = 120


@command()
@checkpoints_argument
@loss_option("The loss of gradient and Hessian, and the one to draw; at finite radii both are stored.")
@click.option("--directions", type=WholeRange(2), default=32, show_default=True, help="Random directions.")
@click.option(
    "--radii",
    metavar="R,...",
    type=Parsed("numbers", parse_numbers),
    default="0.01,0.03,0.1,0.3",
    show_default=True,
    help="Distances, as shares of the weights' L2 norm.",
)
@click.option("--eigenvalues", type=WholeRange(1), default=5, show_default=True, help="The largest ones.")
@click.option("--trace-probes", type=WholeRange(2), default=20, show_default=True, help="Vectors for the trace.")
@click.option("--lanczos-steps", type=WholeRange(3), default=30, show_default=True, help="For the density.")
@click.option(
    "--params",
    "policy",
    metavar="ROLE=TREATMENT,...",
    type=Parsed("policy", parse_policy),
    default="weight=random,bias=hold,norm=hold,neuron=hold",
    show_default=True,
    help="The roles that are random are moved and differentiated by.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of all random vectors.")
@movable_options
@samples_option(256, "The Hessian takes hundreds of passes.")
@data_options
@run_options
@output_option("curvature")
def curvature(
    checkpoints: tuple[Path, ...],
    loss: str,
    directions: int,
    radii: tuple[float, ...],
    eigenvalues: int,
    trace_probes: int,
    lanczos_steps: int,
    policy: dict[str, str],
    output: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the curvature at CKPT: of the surrogate Hessian, and of the loss itself at finite radii.

    The Hessian is that of the network's own backward pass, through the surrogate derivatives; the measured loss
    is piecewise constant in most weights and has no such curvature. So beside it stand second differences of the
    measured loss, and the cosine between the surrogate gradient and the gradient of the loss smoothed over a
    radius. Writes CKPT.curvature.h5 and CKPT.curvature.png.

    \b
    tetviz curvature tet.pt --loss tet
    tetviz curvature tet.pt --radii 0.003,0.01,0.03 --directions 64 --precision float64
    """
    if "random" not in policy.values():
        raise click.UsageError("--params: a curvature needs a role that is random")

    def compute(each: "MovableSession", store: "Store") -> "Curvature":
        if store.path and (store.force or not Path(store.path).exists()):
            products = (
                directions + trace_probes + tetviz.landscape.curvature.REPEATS * lanczos_steps + PRODUCTS_OF_EIGSH
            )
            seconds = tetviz.commands.movable.seconds_of_product(each.evaluator, loss, policy)
            note(
                f"first the surrogate Hessian: some {products} products with a vector, {seconds:.2f} s each: about "
                f"{duration(products * seconds)}"
            )
        return tetviz.landscape.compute_curvature(
            each.evaluator,
            directions,
            radii,
            eigenvalues=eigenvalues,
            trace_probes=trace_probes,
            lanczos_steps=lanczos_steps,
            loss=loss,
            policy=policy,
            seed=options["seed"],
            store=store,
        )

    tetviz.commands.measure.run_measurement(
        tetviz.results.Curvature,
        checkpoints,
        output_paths(checkpoints, output, "curvature"),
        sessions=lambda jobs: (
            tetviz.commands.movable.open_movable(job.path, finished=job.finished, **options) for job in jobs
        ),
        measure=tetviz.commands.measure.point_by_point(compute, points=lambda each: directions * len(radii) * 6),
        draw={"curvature": tetviz.figures.draw},
        force=force,
        as_json=as_json,
    )
