"""``tetviz curvature``: the surrogate Hessian, and beside it the true loss at finite radii."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tetviz.commands.options import (
    SEED,
    Parsed,
    checkpoints_argument,
    data_options,
    loss_option,
    output_option,
    output_paths,
    probe_options,
    run_options,
    samples_option,
)

if TYPE_CHECKING:
    from tetviz.landscape import Evaluator
    from tetviz.results import Curvature

# Three searches of the Lanczos method, of twenty vectors and a few restarts each.
PRODUCTS_OF_EIGSH = 120


@click.command()
@checkpoints_argument
@loss_option
@click.option("--directions", type=click.IntRange(2), default=32, show_default=True, help="Random directions.")
@click.option(
    "--radii",
    metavar="R,...",
    type=Parsed("numbers", "tetviz.commands.parsers:parse_numbers"),
    default="0.01,0.03,0.1,0.3",
    show_default=True,
    help="Distances, as shares of the weights' L2 norm.",
)
@click.option("--eigenvalues", type=click.IntRange(1), default=5, show_default=True, help="The largest ones.")
@click.option("--trace-probes", type=click.IntRange(2), default=20, show_default=True, help="Vectors for the trace.")
@click.option("--lanczos-steps", type=click.IntRange(3), default=30, show_default=True, help="For the density.")
@click.option(
    "--params",
    "policy",
    metavar="ROLE=TREATMENT,...",
    type=Parsed("policy", "tetviz.commands.parsers:parse_policy"),
    default="weight=random,bias=hold,norm=hold,neuron=hold",
    show_default=True,
    help="The roles that are random are moved and differentiated by.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of all random vectors.")
@probe_options
@samples_option(256)
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
    from tetviz.commands.console import note, print_json
    from tetviz.commands.probing import check_inputs, open_probe, recording
    from tetviz.commands.subject import duration
    from tetviz.figures import draw, save_figure
    from tetviz.landscape import compute_curvature
    from tetviz.results import Curvature

    if "random" not in policy.values():
        raise click.UsageError("--params: a curvature needs a role that is random")
    targets = output_paths(checkpoints, output, "curvature")
    check_inputs(checkpoints, targets, Curvature, force)
    records = []
    for path, target in zip(checkpoints, targets, strict=True):
        subject, probe, seconds = open_probe(path, **options)
        with recording(subject, target, force, directions * len(radii) * 6, seconds) as record:
            if force or not target.exists():
                products = directions + trace_probes + 2 * lanczos_steps + PRODUCTS_OF_EIGSH
                each = seconds_of_product(probe, loss, policy)
                note(
                    f"first the surrogate Hessian: some {products} products with a vector, {each:.2f} s each: about "
                    f"{duration(products * each)}"
                )
            result = compute_curvature(
                probe,
                directions,
                radii,
                eigenvalues=eigenvalues,
                trace_probes=trace_probes,
                lanczos_steps=lanczos_steps,
                loss=loss,
                policy=policy,
                seed=options["seed"],
                store=record,
            )
        save_figure(draw([result]), target.with_suffix(".png"))
        note(f"wrote {target} and {target.with_suffix('.png')}")
        records += curvature_records(result)
        if not as_json:
            report(result)
    if as_json:
        print_json(records)


def seconds_of_product(probe: "Evaluator", loss: str, policy: dict[str, str]) -> float:
    """How long a product of the surrogate Hessian with a vector takes."""
    import time

    import torch

    from tetviz.landscape.gradient import random_parameters
    from tetviz.landscape.hessian import SurrogateHessian

    hessian = SurrogateHessian(probe, loss, random_parameters(probe, policy))
    vector = torch.ones(hessian.shape[0], dtype=hessian.dtype, device=hessian.device)
    float((hessian @ vector).sum())  # the first one warms up
    begin = time.perf_counter()
    float((hessian @ vector).sum())
    return time.perf_counter() - begin


def curvature_records(result: "Curvature") -> list[dict[str, Any]]:
    """The numbers of a curvature as plain values.

    Returns:
        One record for the surrogate Hessian, one for each radius.
    """
    import numpy as np

    from tetviz.results import default_timestep
    from tetviz.summaries import bootstrap_mean, finite_curvature, slope_agreement

    step = default_timestep(result)
    bend = bootstrap_mean(finite_curvature(result, step))
    slopes = slope_agreement(result)
    probes = len(result.trace_estimate)
    head = {"checkpoint": result.provenance.checkpoint, "loss": result.loss, "timesteps": step}
    hessian = {
        **head,
        "eigenvalues": result.eigenvalue.tolist(),
        "residuals": result.eigenvalue_residual.tolist(),
        "trace": float(result.trace_estimate.mean()),
        "trace_se": float(result.trace_estimate.std(ddof=1) / np.sqrt(probes)),
        "mean_curvature": float(result.surrogate_curvature.mean()),
        "gradient_norm": result.gradient_norm,
        "weight_norm": result.weight_norm,
        "parameters": result.parameters,
        "note": result.note,
    }
    radii = [
        {
            **head,
            "radius": float(radius),
            "curvature": float(bend.mean[i]),
            "curvature_low": float(bend.low[i]),
            "curvature_high": float(bend.high[i]),
            **{name: float(values[i]) for name, values in slopes.items()},
        }
        for i, radius in enumerate(result.radius)
    ]
    return [hessian, *radii]


def report(result: "Curvature") -> None:
    """Prints a curvature."""
    from tetviz.figures import format_table
    from tetviz.figures.report.tables_flatness import curvature_table

    table = curvature_table(result)
    click.echo("\n".join([*table.feet, format_table(table.frame)]))
