"""Published weights: a state_dict in one of the layouts of :mod:`tetviz.training.layouts` as one of tetviz.

The names decide the layout and the network, the shapes its width, channels and classes. Nothing is skipped and nothing
is filled in: every key has its place, and the names of one tensor agree.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tetviz.errors import CheckpointError, unknown
from tetviz.models import ModelSpec, build
from tetviz.models.layers import scaled
from tetviz.training.checkpoint import FORMAT, read_weights
from tetviz.training.layouts import LAYOUTS, Layout, PublishedNetwork
from tetviz.training.weights import StateDict, find_state_dict, left_out, listed, rename

COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Published:
    """Published weights in tetviz's names.

    Attributes:
        layout: key of :data:`tetviz.training.layouts.LAYOUTS`.
        spec: what builds the network.
        state: its state_dict.
        keys: number of keys in the file; those above the number of tensors are aliases, which agree.
        notes: what came off the names, what was left out and what was filled in, in sentences.
    """

    layout: str
    spec: ModelSpec
    state: StateDict
    keys: int
    notes: tuple[str, ...] = ()


def read_published(
    path: str | Path, model: str | None = None, *, key: str = "", layout: str | None = None, **settings: Any
) -> Published:
    """Reads a file of published weights; no code in it is run.

    Args:
        path: the file, such as ``weights.pth``.
        model: the network that it should hold, a name in :data:`tetviz.models.MODELS`.
        key: entry of the file that holds the state_dict, where it has another name than usual.
        layout: as in :func:`convert`.
        **settings: as in :func:`convert`.

    Returns:
        The weights and the network.

    Raises:
        CheckpointError: the file is missing or damaged, needs code, or holds something else.
    """
    content = read_weights(path)
    try:
        return convert(content, model, key=key, layout=layout, **settings)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def convert(
    content: Any, model: str | None = None, *, key: str = "", layout: str | None = None, **settings: Any
) -> Published:
    """Turns published weights into a network of tetviz.

    Args:
        model: the network that it should hold; None for the one that fits.
        key: entry that holds the state_dict, as in :func:`tetviz.training.weights.find_state_dict`.
        layout: key of :data:`tetviz.training.layouts.LAYOUTS`; None for the one whose mark is among the keys.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(unknown("layout", layout, LAYOUTS))
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        raise CheckpointError("is a tetviz checkpoint already, there is nothing to import")
    found, notes = find_state_dict(content, key)
    name = layout or detect_layout(found, model)
    tables = [_names(name, at).values() for at in range(len(LAYOUTS[name].networks))]
    named = rename(found, {key for table in tables for keys in table for key in keys})
    published = _checked(named.state | {key: found[key] for key in named.unknown})
    network = _choose_network(published, name, model)
    state, filled = _renamed(published, LAYOUTS[name], network)
    spec = _spec(state, LAYOUTS[name], network, settings)
    _check_shapes(state, LAYOUTS[name], network, spec)
    if (spec.name, spec.options.get("connect")) in LAYOUTS[name].other:
        raise CheckpointError(
            f"{LAYOUTS[name].source} joins the branches of {spec.name} with {spec.options['connect']} in another way "
            "than tetviz; import the network itself, with --factory"
        )
    notes = [*notes, *named.notes, *filled, *left_out(named.beside)]
    return Published(name, spec, _one_precision(state), len(published), tuple(notes))


def _checked(published: StateDict) -> StateDict:
    if not published:
        raise CheckpointError("holds no tensors, expected those of a network")
    for name, tensor in published.items():
        _check_tensor(name, tensor)
    return published


def detect_layout(published: Mapping[str, Tensor], model: str | None = None) -> str:
    """The layout of a state_dict: the one whose mark, a key that few others have, is among the keys.

    Args:
        model: the network that it should hold, which decides where the layouts of several codes have the same keys.
    """
    marks = [
        name for name, layout in LAYOUTS.items() if any(f".{key}".endswith(f".{layout.mark}") for key in published)
    ]
    fitting = [name for name in marks if model in {network.model for network in LAYOUTS[name].networks}]
    found = fitting if len(marks) > 1 and fitting else marks
    if len(found) == 1:
        return found[0]
    if found:
        several = " and ".join(f"{LAYOUTS[name].mark} ({name})" for name in found)
        raise CheckpointError(
            f"has keys of several layouts, {several}; name one with --layout, or the network with --model"
        )
    raise CheckpointError(
        f"is of no published layout that tetviz knows ({', '.join(LAYOUTS)}): its {len(published)} keys begin with "
        f"{listed(published)}; name the layout with --layout to see what differs, or the code that builds the network "
        "with --factory"
    )


@lru_cache
def _names(name: str, index: int) -> dict[str, tuple[str, ...]]:
    # Keys in tetviz -> published keys.
    network = LAYOUTS[name].networks[index]
    return {key: LAYOUTS[name].published(network, key) for key in _fresh(_plain_spec(network))}


def _plain_spec(network: PublishedNetwork, **settings: Any) -> ModelSpec:
    return ModelSpec(network.model, **{"options": dict(network.options), **settings})


def _fresh(spec: ModelSpec) -> StateDict:
    with torch.device("meta"):
        return build(spec).state_dict()


def _choose_network(published: StateDict, name: str, model: str | None) -> PublishedNetwork:
    networks = LAYOUTS[name].networks

    def misfits(index: int) -> int:
        keys = _names(name, index).values()
        canonical, every = {names[0] for names in keys}, {key for names in keys for key in names}
        return len(canonical - published.keys()) + len(published.keys() - every)

    order = sorted(range(len(networks)), key=misfits)
    best = order[0]
    if model is not None and model not in {network.model for network in networks}:
        held = f"{networks[best].model}, layout {name}" if not misfits(best) else f"a network of layout {name}"
        raise CheckpointError(f"holds {held}, not {model}")
    if model is not None and networks[best].model != model and not misfits(best):
        raise CheckpointError(f"holds {networks[best].model}, not {model} (layout {name})")
    return networks[next(index for index in order if model in (None, networks[index].model))]


def _renamed(published: StateDict, layout: Layout, network: PublishedNetwork) -> tuple[StateDict, list[str]]:
    names = {key: layout.published(network, key) for key in _fresh(_plain_spec(network))}
    canonical, every = {n[0] for n in names.values()}, {key for n in names.values() for key in n}
    # Torch before 0.4.1 kept no counters of batches, and evaluation reads none.
    counted = any(key.endswith(COUNTER) for key in published)
    counters = [] if counted else [key for key in names if key.endswith(COUNTER)]
    published = published | {spelling: torch.tensor(0) for key in counters for spelling in names[key]}
    # Either all names of a tensor are there, or the first of each alone.
    wanted = every if published.keys() & (every - canonical) else canonical
    missing = [key for key in sorted(wanted) if key not in published]
    strange = [key for key in published if key not in every]
    if missing or strange:
        parts = [f"lacks {listed(missing)}"] if missing else []
        parts += [f"has unknown keys {listed(strange)}"] if strange else []
        raise CheckpointError(f"does not fit {network.model}, layout of {layout.source}: {' and '.join(parts)}")
    state = {}
    for key, spellings in names.items():
        state[key] = published[spellings[0]]
        for alias in spellings[1:] if wanted is every else ():
            if not _same(state[key], published[alias]):
                raise CheckpointError(
                    f"{spellings[0]} and {alias} are one tensor in the published network, here they differ; "
                    "export the weights again, it cannot be known which is right"
                )
    filled = [f"not in the file, set to 0: {listed(counters)} (counters of batch norm)"] if counters else []
    return state, filled


def _spec(state: StateDict, layout: Layout, network: PublishedNetwork, settings: Mapping[str, Any]) -> ModelSpec:
    plain = _fresh(_plain_spec(network))
    first = next(key for key, tensor in plain.items() if tensor.dim() == 4)
    last = [key for key, tensor in plain.items() if tensor.dim() == 2][-1]
    told: dict[str, Any] = {"width": _width(state, plain)}
    for field, key, axis in (("in_channels", first, 1), ("num_classes", last, 0)):
        if state[key].dim() == plain[key].dim():
            told[field] = state[key].shape[axis]
    given = {field: value for field, value in settings.items() if value is not None and field != "options"}
    if given.get("leak", 1) != 1 and given.get("neuron", layout.constants["neuron"]) == "if":
        raise ValueError("neurons of kind 'if' keep all of their potential: leave leak out, or ask for 'lif'")
    options = {**layout.options, **network.options, **(settings.get("options") or {})}
    side = _image_size(state, last) if network.model.startswith("vggsnn") else None
    return ModelSpec(
        network.model, **{"image_size": side or layout.image_size, **layout.constants, **told, **given}, options=options
    )


def _width(state: StateDict, plain: StateDict) -> float:
    # The width with which the most convolutions have the channels that they have.
    pairs = [(state[k].shape[0], p.shape[0]) for k, p in plain.items() if p.dim() == state[k].dim() == 4]
    fitting = Counter({own / wide: sum(scaled(p, own / wide) == o for o, p in pairs) for own, wide in pairs})
    return fitting.most_common(1)[0][0] if fitting else 1.0


def _image_size(state: StateDict, readout: str) -> int | None:
    # VGGSNN halves the image four times and reads all pixels; None where its readout fits no square.
    channels = [tensor.shape[0] for tensor in state.values() if tensor.dim() == 4][-1:]
    pixels = state[readout].shape[-1] // channels[0] if channels and state[readout].dim() == 2 else 0
    return 16 * math.isqrt(pixels) or None


def _check_shapes(state: StateDict, layout: Layout, network: PublishedNetwork, spec: ModelSpec) -> None:
    expected = _fresh(spec)
    differ = sorted(expected.keys() ^ state.keys())
    if differ:
        raise CheckpointError(f"{spec.name} with these options has other tensors than the file: {listed(differ)}")
    wrong = [
        f"{layout.published(network, key)[0]} is {tuple(state[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if state[key].shape != tensor.shape
    ]
    if wrong:
        raise CheckpointError(f"the shapes do not fit {spec.name} of width {spec.width:g}: {listed(wrong, '; ')}")
    for key, tensor in expected.items():
        if state[key].is_floating_point() != tensor.is_floating_point():
            name = layout.published(network, key)[0]
            raise CheckpointError(f"{name} holds {state[key].dtype}, expected {tensor.dtype}")


def _check_tensor(name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.device.type != "cpu":
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout}, {tensor.dtype}, on {tensor.device}"
        raise CheckpointError(f"{name} is not a dense tensor of real numbers ({kind})")
    if tensor.numel() == 0:
        raise CheckpointError(f"{name} is empty, its shape is {tuple(tensor.shape)}")
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(f"{name} holds values that are not finite; use weights from before training diverged")
    if name.endswith("running_var") and bool((tensor < 0).any()):
        raise CheckpointError(f"{name} holds negative numbers, expected variances; export the weights again")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def _one_precision(state: StateDict) -> StateDict:
    dtype = torch.float32
    for tensor in state.values():
        if tensor.is_floating_point():
            dtype = torch.promote_types(dtype, tensor.dtype)
    return {name: t.to(dtype if t.is_floating_point() else torch.int64).clone() for name, t in state.items()}
