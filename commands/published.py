"""The options of ``tetviz import`` for published weights, and what it says of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tetviz
from tetviz.commands.choices import LAYER_NORMS, LAYOUTS, MODELS, NEURONS, RESETS, SURROGATES
from tetviz.commands.console import note
from tetviz.commands.options import combined
from tetviz.commands.values import POSITIVE, FiniteRange, Name, model_option

if TYPE_CHECKING:
    from tetviz.training import Checkpoint
    from tetviz.training.published import Published

published_options = combined(
    click.option("--model", type=Name(MODELS), help="Published weights: the network they must be of."),
    click.option(
        "--layout",
        type=Name(LAYOUTS),
        help="Published weights: how their keys are named.  [default: by a key that only one layout has]",
    ),
    click.option(
        "--model-option",
        "model_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Published weights: what they do not tell, such as connect=AND. Repeat it for several.",
    ),
    click.option("--width", type=POSITIVE, help="[default: what the shapes tell]"),
    click.option("--neuron", type=Name(NEURONS), help="[default: as published]"),
    click.option("--leak", type=FiniteRange(0, 1), help="[default: as published]"),
    click.option("--threshold", type=POSITIVE, help="V_th.  [default: as published]"),
    click.option("--reset", type=Name(RESETS), help="[default: hard]"),
    click.option("--detach-reset/--attach-reset", default=None, help="[default: as published]"),
    click.option("--norm", type=Name(LAYER_NORMS), help="[default: as published]"),
    click.option("--surrogate", type=Name(SURROGATES), help="[default: as published]"),
    click.option("--gamma", type=POSITIVE, help="Width of the surrogate.  [default: 1]"),
)

_NAMES = (
    *("model", "layout", "model_options", "width", "neuron", "leak", "threshold", "reset", "detach_reset", "norm"),
    *("surrogate", "gamma"),
)


def take_published(options: dict[str, Any], *, factory: bool) -> dict[str, Any]:
    """Takes the options of published weights out of those of the command line."""
    taken = {name: options.pop(name) for name in _NAMES}
    others = {name: options[name] for name in ("takes", "gives", "item", "timesteps_by", "recover")}
    strange = [name for name, value in (taken if factory else others).items() if value not in (None, (), "")]
    if strange:
        option = f"--{strange[0].removesuffix('s') if strange[0] == 'model_options' else strange[0]}".replace("_", "-")
        reason = "--factory builds the network, it" if factory else "it is about the network of a --factory: published"
        cure = "decides that" if factory else "weights do not need it"
        raise click.UsageError(f"{option}: {reason} {cure}; leave it out")
    return taken


def open_published(
    weights: Path, key: str, timesteps: int, image_size: int | None, options: dict[str, Any]
) -> "Checkpoint":
    """Reads published weights and says what they are.

    Args:
        image_size: side of the input, None for the published one.
    """
    try:
        extra = dict(model_option(text) for text in options.pop("model_options"))
        published = tetviz.training.read_published(weights, key=key, image_size=image_size, options=extra, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for line in describe_published(published):
        note(line)
    origin = tetviz.training.importing.imported_from(weights, published.notes) | {"layout": published.layout}
    if normalise := dict(tetviz.training.LAYOUTS[published.layout].normalise):
        origin["normalise"] = normalise
    return tetviz.training.Checkpoint(published.spec, published.state, timesteps, training=origin)


def describe_published(published: "Published") -> list[str]:
    """What published weights turned out to be."""
    spec, layout = published.spec, tetviz.training.LAYOUTS[published.layout]
    aliases = published.keys - len(published.state)
    named = f" ({published.keys} keys, {aliases} of them further names of the same, which agree)" if aliases else ""
    options = "".join(f", {name}={value}" for name, value in spec.options.items())
    changed = [name for name, value in layout.constants.items() if getattr(spec, name) != value]
    origin = f"{', '.join(changed)} as asked for" if changed else "as published"
    reset = f"{spec.reset} reset{', detached' if spec.detach_reset else ''}"
    lines = [
        f"layout {published.layout} of {layout.source}: {len(published.state)} tensors{named}",
        f"{spec.name}, width {spec.width:g}, {spec.in_channels} channels of {spec.image_size} x {spec.image_size}, "
        f"{spec.num_classes} classes{options}",
        f"{spec.neuron}: leak {spec.leak:g}, V_th {spec.threshold:g}, {reset}, surrogate {spec.surrogate} of width "
        f"{spec.gamma:g}, norm {spec.norm}: {origin}",
    ]
    lines += published.notes
    if "connect" in layout.options:
        lines.append(f"connect={spec.options['connect']} is not in the weights; another is --model-option connect=AND")
    return lines
