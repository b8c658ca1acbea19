"""Options that several commands share, and what they are checked by."""

import math
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from tetviz.errors import unknown

COMMAND_LINE = "tetviz.command_line"
LONGEST_NAME = 80

F = TypeVar("F", bound=Callable[..., Any])


class Registered(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.5 on
    """A name in one of tetviz's registries, or of those that a function gives, imported only when a name is given."""

    name = "name"

    def __init__(self, module: str, registry: str) -> None:
        self.module, self.registry = module, registry

    def known(self) -> list[str]:
        """The names of the registry."""
        registry = getattr(import_module(self.module), self.registry)
        return list(registry() if callable(registry) else registry)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names, for the help text."""
        return f"[{'|'.join(self.known())}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accepts a known name."""
        known = self.known()
        if value not in known:
            self.fail(unknown("name", value, known), param, ctx)
        return str(value)


class DataName(Registered):
    """A data set of tetviz, or a function of someone else's."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names, for the help text."""
        return f"[{'|'.join(self.known())}|MODULE:FUNCTION]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accepts a known name, or what names a function."""
        if ":" in value:
            return str(Parsed("", "tetviz.commands.parsers:parse_reference").convert(value, param, ctx))
        if "." in value:
            self.fail(f"{value!r} is no data set; a function is named module:function, with a colon", param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A number within a range; NaN and infinity are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


SEED = click.IntRange(0, 2**63 - 1)


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A value with a syntax of its own, read by a function that raises ValueError.

    Args:
        reader: ``module:function`` or ``module:Class.method``, imported only when a value is given.
    """

    def __init__(self, name: str, reader: str) -> None:
        self.name, self.reader = name, reader

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads the value."""
        module, _, path = self.reader.partition(":")
        reader: Any = import_module(module)
        for part in path.split("."):
            reader = getattr(reader, part)
        try:
            return reader(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def combined(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


event_options = combined(
    click.option("--frames", type=click.IntRange(1), help="Events: frames a recording is cut into.  [default: T]"),
    click.option("--framing", type=click.Choice(["time", "count"]), help="Events: by equal time or equal counts."),
    click.option(
        "--sensor",
        metavar="HEIGHTxWIDTH",
        type=Parsed("sensor", "tetviz.commands.parsers:parse_sensor"),
        help="Events: sensor size.",
    ),
)

trust_option = click.option(
    "--trust", is_flag=True, help="Import and run the Python code that a checkpoint or --data names."
)

data_options = combined(
    click.option(
        "--data",
        type=DataName("tetviz.training", "DATASETS"),
        help="Data set, or with --trust a function of your own, called with the split.",
    ),
    click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the data set; for npz, the file."),
    click.option("--download", is_flag=True, help="Fetch a missing data set into --data-root."),
    trust_option,
    event_options,
)

run_options = combined(
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Samples a batch."),
    click.option("--precision", type=click.Choice(["float32", "float64"]), help="[default: the checkpoint's]"),
    click.option("--split", type=click.Choice(["test", "train"]), default="test", show_default=True),
    click.option("--force", is_flag=True, help="Replace existing outputs."),
    click.option("--json", "as_json", is_flag=True, help="Print the numbers as a JSON list."),
)

loss_option = click.option(
    "--loss",
    type=click.Choice(["sdt", "tet"]),
    default="sdt",
    show_default=True,
    help="The loss to draw; both are stored.",
)

span_option = click.option(
    "--range",
    "span",
    type=Parsed("LOW:HIGH|auto[:FACTOR]", "tetviz.commands.parsers:parse_span"),
    default="-1:1",
    show_default=True,
    help="Coordinates, in filter norms; auto: as far as the loss rises FACTOR times (10).",
)

direction_options = combined(
    click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the directions."),
    click.option("--norm", type=Registered("tetviz.landscape", "NORMS"), default="filter", show_default=True),
    click.option("--orthogonal", is_flag=True, help="Turn the second direction to a right angle on the first."),
    click.option(
        "--params",
        "policy",
        metavar="ROLE=TREATMENT,...",
        type=Parsed("policy", "tetviz.commands.parsers:parse_policy"),
        default="weight=random,bias=hold,norm=hold,neuron=hold",
        show_default=True,
        help="What is done with weights, biases, norm gains and offsets, and neurons: random, hold or scale.",
    ),
)

calibration_option = click.option(
    "--calibration",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Train samples that statistics are re-estimated on.",
)

bn_options = combined(
    click.option(
        "--bn",
        type=Registered("tetviz.landscape", "BN_POLICIES"),
        default="frozen",
        show_default=True,
        help="Batch-norm statistics: the checkpoint's, re-estimated at every point, or each batch's.",
    ),
    calibration_option,
)

probe_options = combined(
    click.option("--timesteps", type=click.IntRange(1), help="Longest run T.  [default: T of training]"),
    click.option(
        "--allow-chance", is_flag=True, help="Measure a network that is silent or no better than chance, too."
    ),
)

checkpoints_argument = click.argument(
    "checkpoints", metavar="CKPT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)


def output_option(kind: str) -> Callable[[F], F]:
    """Where the results of one checkpoint or several go."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help=f"HDF5 file; for several checkpoints a folder.  [default: CKPT.{kind}.h5]",
    )


def samples_option(default: int) -> Callable[[F], F]:
    """How many samples to measure on.

    Args:
        default: the default; 0 for all.
    """
    return click.option(
        "--samples",
        type=click.IntRange(0),
        default=default,
        show_default=True,
        help="Samples to measure on, balanced over the classes, in fixed order; 0 for all.",
    )


def command_line() -> str:
    """The command as it was typed."""
    return shlex.join(["tetviz", *click.get_current_context().meta.get(COMMAND_LINE, [])])


def checkpoint_name(path: Path, between: str = " ") -> str:
    """What a checkpoint is called."""
    folder = path.absolute().parent
    return f"{folder.stem}{between}{path.stem}" if folder.suffix == ".kept" else path.stem


def output_paths(checkpoints: tuple[Path, ...], output: Path | None, kind: str) -> list[Path]:
    """Where the results of some checkpoints go."""
    for path in checkpoints:
        if not path.name:
            raise click.UsageError(f"{path}: is a folder, expected a checkpoint")
    if output is None:
        paths = [path.with_name(f"{path.stem}.{kind}.h5") for path in checkpoints]
    elif len(checkpoints) > 1:
        if not output.is_dir():
            raise click.UsageError("-o: for several checkpoints leave it out, or name a folder that exists")
        paths = [output / f"{checkpoint_name(path, '-')}.{kind}.h5" for path in checkpoints]
    elif output.suffix not in (".h5", ".hdf5", ".nc"):
        raise click.UsageError(f"-o {output}: results are HDF5, name a file that ends in .h5")
    else:
        paths = [output]
    if len(set(checkpoints)) < len(checkpoints):
        raise click.UsageError("the same checkpoint is named twice")
    if len(set(paths)) < len(paths):
        raise click.UsageError("two checkpoints have the same name, and so would their results; leave out -o")
    return paths


def overlay_path(checkpoints: tuple[Path, ...], output: Path | None, kind: str) -> list[Path]:
    """What the figure of several checkpoints is named after."""
    if len(checkpoints) < 2:
        return []
    if output is not None:
        return [output / f"{kind}.h5"]
    parts = [checkpoint_name(path, "-") for path in checkpoints]
    names = "-".join(parts)
    if len(names) > LONGEST_NAME:
        names = f"{parts[0]}-and-{len(checkpoints) - 1}-others"
    return [checkpoints[0].with_name(f"{names}.{kind}.h5")]
