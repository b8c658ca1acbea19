"""Options that several commands share, one wording for each, in the order that help shows them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tetviz.commands.choices import BN_POLICIES, DIRECTION_NORMS, LOSSES
from tetviz.commands.console import COMPILE, SCHEDULER, THREADS, WAIT, WORKERS
from tetviz.commands.values import (
    COST,
    DATA,
    POSITIVE,
    SEED,
    STEPS,
    Name,
    Parsed,
    WholeRange,
    parse_axes,
    parse_normalise,
    parse_policy,
    parse_sensor,
    parse_span,
)

F = TypeVar("F", bound=Callable[..., Any])


def combined(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


checkpoints_argument = click.argument(
    "checkpoints", metavar="CKPT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
ends_arguments = click.argument("checkpoints", metavar="CKPT CKPT", nargs=2, type=click.Path(path_type=Path))


def loss_option(what: str = "The loss to draw; both are stored.") -> Callable[[F], F]:
    """The loss that a result is about."""
    return click.option("--loss", type=click.Choice(["sdt", "tet"]), default="sdt", show_default=True, help=what)


gradient_loss_option = click.option(
    "--loss",
    type=click.Choice(LOSSES),
    help="The loss whose gradient is measured.  [default: the loss trained on]",
)


def timestep_option(what: str) -> Callable[[F], F]:
    """The T of a result that is looked at."""
    return click.option("--t", "timestep", type=STEPS, help=f"{what}  [default: T of training]")


span_option = click.option(
    "--range",
    "span",
    type=Parsed("LOW:HIGH|auto[:FACTOR]", parse_span),
    default="-1:1",
    show_default=True,
    help="Coordinates, in filter norms; auto: as far as the loss rises FACTOR times (10).",
)

policy_option = click.option(
    "--params",
    "policy",
    metavar="ROLE=TREATMENT,...",
    type=Parsed("policy", parse_policy),
    default="weight=random,bias=hold,norm=hold,neuron=hold",
    show_default=True,
    help="What is done with weights, biases, norm gains and offsets, and neurons: random, hold or scale.",
)

# Of the commands with direction_options.
RENAMED_DIRECTIONS = {"--norm": "--direction-norm"}
direction_options = combined(
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the directions."),
    click.option(
        "--direction-norm",
        "norm",
        type=Name(DIRECTION_NORMS),
        default="filter",
        show_default=True,
        help="Which parts of a direction get the norm of the weights in the same place.",
    ),
    click.option("--orthogonal", is_flag=True, help="Turn the second direction to a right angle on the first."),
    policy_option,
)

calibration_option = click.option(
    "--calibration",
    type=WholeRange(1),
    default=256,
    show_default=True,
    help="Train samples that statistics are re-estimated on.",
)


def bn_option(
    default: str = "frozen", why: str = "", policies: Sequence[str] = BN_POLICIES, point: str = "point"
) -> Callable[[F], F]:
    """The statistics of batch normalisation."""
    words = {"frozen": "the checkpoint's", "recalibrate": f"re-estimated at every {point}", "batch": "each batch's"}
    told = "; ".join(f"{name}: {words[name]}" for name in policies)
    return click.option(
        "--bn", type=Name(policies), default=default, show_default=True, help=f"Batch-norm statistics; {told}.{why}"
    )


bn_options = combined(bn_option(), calibration_option)


def timesteps_option(default: str = "T of training") -> Callable[[F], F]:
    """The length of a run."""
    return click.option("--timesteps", type=STEPS, help=f"Length of the run, T.  [default: {default}]")


def tmax_option(default: str) -> Callable[[F], F]:
    """The length of the run that gives a curve over all shorter ones."""
    return click.option("--tmax", type=STEPS, help=f"Longest run of the curve.  [default: {default}]")


movable_options = combined(
    timesteps_option(),
    click.option(
        "--allow-chance", is_flag=True, help="Measure a network that is silent or no better than chance, too."
    ),
)

cost_option = click.option(
    "--cost",
    type=COST,
    default="45nm-fp32",
    show_default=True,
    help="Cost model: a name, or a TOML file that defines one.",
)


def samples_option(default: int, why: str) -> Callable[[F], F]:
    """How many samples to measure on, and why so many where nothing else is asked for; 0 is all."""
    return click.option(
        "--samples",
        type=WholeRange(0),
        default=default,
        show_default=True,
        help=f"Samples to measure on, balanced over the classes, in fixed order; 0 for all. {why}",
    )


trust_option = click.option(
    "--trust", is_flag=True, help="Import and run the Python code that a checkpoint or --data names."
)

data_options = combined(
    click.option("--data", type=DATA, help="Data set, or with --trust a function of your own, called with the split."),
    click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the data set; for npz, the file."),
    click.option("--download", is_flag=True, help="Fetch a missing data set into --data-root."),
    trust_option,
    click.option("--frames", type=STEPS, help="Events: frames a recording is cut into.  [default: T]"),
    click.option("--framing", type=click.Choice(["time", "count"]), help="Events: by equal time or equal counts."),
    click.option("--sensor", metavar="HEIGHTxWIDTH", type=Parsed("sensor", parse_sensor), help="Events: sensor size."),
    click.option("--duration", type=POSITIVE, help="Spike trains: seconds that frames cover.  [default: the longest]"),
    click.option(
        "--units", type=WholeRange(1), help="Spike trains: input units that the recorded ones are added up to."
    ),
    click.option(
        "--axes",
        type=Parsed("AXES", parse_axes),
        help="Data of your own: the axes of a sample, a letter each, T for time, such as TF, TCL or CHWT.  "
        "[default: F, TF, CHW or TCHW]",
    ),
    click.option(
        "--lengths",
        is_flag=True,
        help="Data of your own: what comes third in a sample or batch is its length in frames, or a mask of them; "
        "what is behind is padding and counts nowhere.",
    ),
    click.option(
        "--normalise",
        type=Parsed("MEAN:STD|none", parse_normalise),
        help="Images: (x - MEAN) / STD of x in [0, 1], by channel with commas between.  "
        "[default: the checkpoint's, or the data set's own]",
    ),
)

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
force_option = click.option("--force", is_flag=True, help="Replace existing outputs.")


def _remembered(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(context: click.Context, _: click.Parameter, value: Any) -> None:
        context.meta[name] = value

    return remember


wait_option = click.option(
    "--wait",
    is_flag=True,
    expose_value=False,
    callback=_remembered(WAIT),
    help="Wait while another process writes the same output.",
)
compile_option = click.option(
    "--compile",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_remembered(COMPILE),
    help="Compile a step of the network: the same bits in less time. auto: once that pays.",
)
# Where a command computes; commands/cluster.py takes them.
cluster_options = combined(
    click.option(
        "--workers",
        type=WholeRange(1, 1024),
        expose_value=False,
        callback=_remembered(WORKERS),
        help="Processes of this machine to measure on; of several GPUs each takes one. Needs Dask.",
    ),
    click.option(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        expose_value=False,
        callback=_remembered(SCHEDULER),
        help="Measure on the workers of this Dask scheduler.",
    ),
    click.option(
        "--threads",
        type=WholeRange(1, 1024),
        expose_value=False,
        callback=_remembered(THREADS),
        help="Threads of this process and of each worker.  [default: one a core; with workers 1]",
    ),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list.")


def batch_option(default: int = 256, what: str = "Samples that a network runs on at once.") -> Callable[[F], F]:
    """How many samples go through a network at once."""
    return click.option("--batch-size", type=WholeRange(1), default=default, show_default=True, help=what)


precision_option = click.option(
    "--precision", type=click.Choice(["float32", "float64"]), help="[default: the checkpoint's]"
)


def split_option(default: str = "test", why: str = "") -> Callable[[F], F]:
    """Which samples are measured on."""
    return click.option(
        "--split", type=click.Choice(["test", "train"]), default=default, show_default=True, help=why or None
    )


machine_options = combined(device_option, batch_option(), precision_option, split_option())
run_options = combined(machine_options, cluster_options, force_option, wait_option, json_option)

# Of commands that move checkpoints along the same random planes.
planes_options = combined(
    span_option,
    direction_options,
    bn_options,
    movable_options,
    samples_option(1024, "Every point takes a pass over them."),
    data_options,
    compile_option,
    run_options,
)
# Of commands that measure between two checkpoints.
between_options = combined(
    calibration_option,
    movable_options,
    samples_option(1024, "Every point takes a pass over them."),
    data_options,
    compile_option,
    run_options,
)


def output_option(kind: str) -> Callable[[F], F]:
    """Where the results of one checkpoint or several go."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help=f"HDF5 file; for several checkpoints a folder.  [default: CKPT.{kind}.h5]",
    )
