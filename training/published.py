"""Published weights: a state_dict in one of the layouts of :mod:`tetviz.training.layouts` as one of tetviz.

The names decide the layout and the network, the shapes its width, channels and classes. Nothing is skipped and nothing
is filled in: every key has its place, and the names of one tensor agree.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tetviz.errors import CheckpointError, unknown
from tetviz.models import ModelSpec, build
from tetviz.models.layers import scaled
from tetviz.training.checkpoint import FORMAT, load_weights, read_weights
from tetviz.training.layouts import LAYOUTS, Layout, PublishedNetwork

WRAPPERS = ("model", "state_dict", "model_state_dict", "net")
PARALLEL = "module."
SHOWN = 3

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """Published weights in tetviz's names.

    Attributes:
        layout: key of :data:`tetviz.training.layouts.LAYOUTS`.
        spec: what builds the network.
        state: its state_dict.
        keys: number of keys in the file; those above the number of tensors are aliases, which agree.
    """

    layout: str
    spec: ModelSpec
    state: StateDict
    keys: int


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
    if Path(path).suffix == ".safetensors":
        raise CheckpointError(
            f"{path}: is of safetensors, expected a file of torch.save; make one with "
            'torch.save(safetensors.torch.load_file("...safetensors"), "weights.pth")'
        )
    content = load_weights(path, key) if key else read_weights(path)
    try:
        return convert(content, model, layout=layout, **settings)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def convert(content: Any, model: str | None = None, *, layout: str | None = None, **settings: Any) -> Published:
    """Turns published weights into a network of tetviz.

    Args:
        model: the network that it should hold; None for the one that fits.
        layout: key of :data:`tetviz.training.layouts.LAYOUTS`; None for the one whose mark is among the keys.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(unknown("layout", layout, LAYOUTS))
    published = state_dict_of(content)
    name = layout or detect_layout(published)
    network = _choose_network(published, name, model)
    state = _renamed(published, LAYOUTS[name], network)
    spec = _spec(state, LAYOUTS[name], network, settings)
    _check_shapes(state, LAYOUTS[name], network, spec)
    return Published(name, spec, _one_precision(state), len(published))


def state_dict_of(content: Any) -> StateDict:
    """The state_dict in what somebody saved."""
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        raise CheckpointError("is a tetviz checkpoint already, there is nothing to import")
    state = content
    while isinstance(state, Mapping) and not all(isinstance(value, Tensor) for value in state.values()):
        held = [name for name in WRAPPERS if isinstance(state.get(name), Mapping)]
        if len(held) > 1:
            raise CheckpointError(f"holds several dictionaries of weights ({', '.join(held)}); save one of them alone")
        others = [
            f"{key!r} of type {type(value).__name__}" for key, value in state.items() if not isinstance(value, Tensor)
        ]
        if not held and len(others) < len(state):
            raise CheckpointError(f"holds {_first(others)} beside tensors; save the state_dict alone")
        if not held:
            keys = _first([repr(key) for key in state])
            raise CheckpointError(f"is a dictionary of {keys}, expected tensors, alone or under {', '.join(WRAPPERS)}")
        state = state[held[0]]
    if not isinstance(state, Mapping):
        raise CheckpointError(f"holds {type(state).__name__}, expected a state_dict: names and tensors")
    if not state:
        raise CheckpointError("holds an empty dictionary, expected the tensors of a network")
    if not all(isinstance(name, str) and name.isprintable() for name in state):
        raise CheckpointError("is a dictionary whose keys are not all printable strings, expected the names of tensors")
    while all(name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): tensor for name, tensor in state.items()}
    for name, tensor in state.items():
        _check_tensor(name, tensor)
    return dict(state)


def detect_layout(published: Mapping[str, Tensor]) -> str:
    """The layout of a state_dict: the one whose mark, a key that no other layout has, is among the keys."""
    found = [name for name, layout in LAYOUTS.items() if layout.mark in published]
    if len(found) == 1:
        return found[0]
    if found:
        marks = " and ".join(f"{LAYOUTS[name].mark} ({name})" for name in found)
        raise CheckpointError(f"has keys of several layouts, {marks}; name one with --layout")
    raise CheckpointError(
        f"is of no published layout that tetviz knows ({', '.join(LAYOUTS)}): its {len(published)} keys begin with "
        f"{_first(published)}; name the layout with --layout to see what differs, or the code that builds the network "
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


def _renamed(published: StateDict, layout: Layout, network: PublishedNetwork) -> StateDict:
    names = {key: layout.published(network, key) for key in _fresh(_plain_spec(network))}
    canonical, every = {n[0] for n in names.values()}, {key for n in names.values() for key in n}
    # Either all names of a tensor are there, or the first of each alone.
    wanted = every if published.keys() & (every - canonical) else canonical
    missing = [key for key in sorted(wanted) if key not in published]
    strange = [key for key in published if key not in every]
    if missing or strange:
        parts = [f"lacks {_first(missing)}"] if missing else []
        parts += [f"has unknown keys {_first(strange)}"] if strange else []
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
    return state


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
        raise CheckpointError(f"{spec.name} with these options has other tensors than the file: {_first(differ)}")
    wrong = [
        f"{layout.published(network, key)[0]} is {tuple(state[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if state[key].shape != tensor.shape
    ]
    if wrong:
        raise CheckpointError(f"the shapes do not fit {spec.name} of width {spec.width:g}: {_first(wrong, '; ')}")
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


def _first(names: Iterable[str], between: str = ", ") -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"{between.join(listed[:SHOWN])}{more}"
