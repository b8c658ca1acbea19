"""What the tensors of a run are made of, followed from operation to operation.

A comparison makes spikes, whoever asks for it; a view, a copy, a padding or a maximum of spikes are spikes, a sum
of spikes is graded, a mean of them pooled. What passes through anything else is analog.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

SPIKES = ("binary", "scaled", "ternary")
COUNTABLE = (*SPIKES, "graded", "pooled")
FIXED = ("zero", "constant", "weights")


@dataclass(frozen=True)
class Origin:
    """What a tensor is made of.

    Attributes:
        kind: ``zero``, ``constant``, ``weights`` (parameters and buffers), ``binary``, ``scaled``, ``ternary``,
            ``graded``, ``pooled``, ``data`` (the network's input), ``analog``, or ``mixed`` (spikes and other values).
        unit: the value that one spike contributes; None where there is no single one.
        makers: the modules whose comparisons made the spikes.
        static: of data, whether it is the same at every step.
        padding: zero margins that an explicit padding has just added, last axis first, as torch orders them.
        padded: sizes of the axes with these margins; a view of other sizes has them no more.
        layer: the layer whose output this is, unchanged but for its shape.
    """

    kind: str
    unit: float | None = None
    makers: frozenset[str] = frozenset()
    static: bool = False
    padding: tuple[int, ...] = ()
    padded: tuple[int, ...] = ()
    layer: str = ""


def words(text: str) -> frozenset[str]:
    """A set of names."""
    return frozenset(text.split())


ZERO, CONSTANT, WEIGHTS, ANALOG = Origin("zero", 0.0), Origin("constant"), Origin("weights"), Origin("analog")


def constant(value: float) -> Origin:
    """A number."""
    return Origin("constant", float(value)) if value else ZERO


def join(origins: Sequence[Origin]) -> Origin:
    """What holds parts of several tensors, as a concatenation does."""
    parts = [origin for origin in dict.fromkeys(origins) if origin.kind != "zero"]
    if len(parts) < 2:
        return parts[0] if parts else ZERO
    kinds = {part.kind for part in parts}
    units = {part.unit for part in parts}
    unit = units.pop() if len(units) == 1 else None
    makers = frozenset().union(*(part.makers for part in parts))
    if len(kinds) == 1:
        return Origin(kinds.pop(), unit, makers, all(part.static for part in parts))
    if kinds <= set(SPIKES):
        return Origin("ternary" if "ternary" in kinds else "scaled", unit, makers)
    if kinds <= {*SPIKES, "graded"}:
        return Origin("graded", unit, makers)
    if kinds & set(COUNTABLE):
        return Origin("mixed", None, makers)
    return CONSTANT if kinds == {"constant"} else WEIGHTS if kinds <= set(FIXED) else ANALOG


def result(name: str, origins: Sequence[Origin], args: Sequence[Any], output: Any, module: str) -> Origin:
    """What an operation makes."""
    if name in _CREATED:
        return _CREATED[name]
    if name in _COMPARE:
        fixed = all(origin.kind in FIXED for origin in origins)
        return WEIGHTS if fixed else Origin("binary", 1.0, frozenset({module}))
    if name in _KEEP:
        kept = join(origins[:1] if name in _FIRST_ONLY else origins)
        if kept.kind in ("constant", "weights") and not all(origin.kind in FIXED for origin in origins):
            return ANALOG  # which of the fixed values are taken is not fixed
        return kept if name in _SAME_PLACES else replace(kept, padding=())
    if name in _RULES:
        return _RULES[name](origins, args, output)
    if origins and all(origin.kind in FIXED for origin in origins):
        return WEIGHTS
    if isinstance(output, Tensor) and output.dtype == torch.bool:
        return Origin("binary", 1.0, frozenset({module}))  # such as s & r
    return ANALOG


def keeps(name: str) -> bool:
    """Whether an operation only moves or chooses values."""
    return name in _KEEP or name in _CREATED


def _product(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    a, b = sorted(origins[:2], key=lambda origin: origin.kind in FIXED)
    if "zero" in (a.kind, b.kind):
        return ZERO
    if b.kind in FIXED:
        factor = b.unit if b.kind == "constant" else None
        return times(a, factor)
    if {a.kind, b.kind} <= {"binary", "ternary"}:
        kind = "binary" if a.kind == b.kind == "binary" else "ternary"
        return Origin(kind, 1.0 if kind == "binary" else None, a.makers | b.makers)
    if {a.kind, b.kind} <= set(SPIKES):
        return Origin("scaled", None, a.makers | b.makers)
    return ANALOG


def times(origin: Origin, factor: float | None) -> Origin:
    """What a fixed factor makes of a tensor.

    Args:
        factor: None where it is not a single number.
    """
    if origin.kind in FIXED:
        return WEIGHTS
    if factor == 1:
        return origin
    if origin.kind in COUNTABLE:
        unit = None if factor is None or origin.unit is None else origin.unit * factor
        return replace(origin, kind="scaled" if origin.kind in SPIKES else origin.kind, unit=unit, padding=())
    return replace(origin, padding=(), layer="") if origin.kind == "data" else ANALOG


def _quotient(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    divisor = origins[1]
    if divisor.kind not in FIXED or divisor.kind == "zero":
        return ANALOG
    return times(origins[0], 1 / divisor.unit if divisor.kind == "constant" and divisor.unit else None)


def _sum_of_two(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    a, b = origins[:2]
    if "zero" in (a.kind, b.kind):
        return b if a.kind == "zero" else a
    if {a.kind, b.kind} <= set(FIXED):
        return WEIGHTS
    if len(origins) == 2 and {a.kind, b.kind} <= {*SPIKES, "graded"}:
        return Origin("graded", a.unit if a.unit == b.unit else None, a.makers | b.makers)
    if len(origins) == 2 and a.kind == b.kind == "pooled":
        return Origin("pooled", a.unit if a.unit == b.unit else None, a.makers | b.makers)
    if "data" in (a.kind, b.kind) and {a.kind, b.kind} <= {"data", *FIXED}:
        return Origin("data", static=all(each.static or each.kind in FIXED for each in (a, b)))
    return ANALOG


def _difference(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    a, b = origins[:2]
    if a.kind == b.kind == "binary":
        return Origin("ternary", None, a.makers | b.makers)
    if a.kind == "constant" and a.unit == 1 and b.kind == "binary":
        return b  # 1 - s, the places without a spike
    if a.kind in COUNTABLE and b.kind in COUNTABLE:
        return ANALOG
    return _sum_of_two(origins[:2], args, output)


def _reversed_difference(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return _difference([origins[1], origins[0]], args, output)


def _choice(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    condition, a, b = origins[:3]
    if condition.kind in FIXED or not {a.kind, b.kind} <= set(FIXED):
        return join([a, b])
    # Fixed values at places that are not fixed: so spikes may be written.
    values = [origin for origin in (a, b) if origin.kind != "zero"]
    units = {origin.unit for origin in values}
    if not values:
        return ZERO
    if condition.kind == "binary" and units == {1.0, -1.0}:
        return Origin("ternary", None, condition.makers)
    if condition.kind == "binary" and (len(values) == 1 or (len(units) == 1 and None not in units)):
        unit = units.pop()
        return Origin("binary" if unit == 1 else "scaled", unit, condition.makers)
    return ANALOG


def _average_pool(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    kernel = _sizes(args[1])
    stride = _sizes(args[2]) if len(args) > 2 and args[2] else kernel
    margins = any(_sizes(args[3])) if len(args) > 3 else False
    apart = len(set(kernel)) == len(set(stride)) == 1 and kernel[0] == stride[0] and not margins
    apart = apart or (kernel == stride and not margins)
    ceiling = len(args) > 4 and bool(args[4])
    axes = output.dim() - 2
    window = math.prod(kernel) if len(kernel) == axes else kernel[0] ** axes
    if len(args) > 6 and args[6]:
        window = args[6]  # divisor_override
    return _averaged(origins[0], window if apart and not ceiling else None)


def _adaptive_pool(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    sizes = list(zip(args[0].shape[-2:], output.shape[-2:], strict=True))
    return _averaged(origins[0], math.prod(a // b for a, b in sizes) if not any(a % b for a, b in sizes) else None)


def _mean(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return _averaged(origins[0], args[0].numel() // max(output.numel(), 1))


def _averaged(origin: Origin, window: int | None) -> Origin:
    if origin.kind not in COUNTABLE:
        return times(origin, None)
    unit = None if window is None or origin.unit is None else origin.unit / window
    return Origin("pooled", unit, origin.makers)


def _total(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    origin = origins[0]
    if origin.kind not in COUNTABLE:
        return times(origin, None)
    return Origin("pooled" if origin.kind == "pooled" else "graded", origin.unit, origin.makers)


def _sign(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    origin = origins[0]
    return origin if origin.kind in ("binary", *FIXED) else Origin("ternary", None, origin.makers)


def _magnitude(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    origin = origins[0]
    return Origin("binary", 1.0, origin.makers) if origin.kind == "ternary" else times(origin, None)


def _negative(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return times(origins[0], -1.0)


def _rectified(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return origins[0] if origins[0].kind == "binary" else times(origins[0], None)


def _padded(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    value = args[2] if len(args) > 2 else 0
    if value:
        return join([origins[0], constant(value)])
    return replace(origins[0], padding=tuple(args[1]), padded=tuple(output.shape[-(len(args[1]) // 2) :]))


def _filled(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return origins[-1] if isinstance(args[-1], Tensor) else constant(args[-1])


def _copied(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    return origins[1]


def _written(origins: Sequence[Origin], args: Sequence[Any], output: Any) -> Origin:
    places = next((origin for origin in origins[1:-1] if origin.kind not in FIXED), CONSTANT)
    return _choice([places, origins[-1], origins[0]], args, output)


def _sizes(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


Rule = Callable[[Sequence[Origin], Sequence[Any], Any], Origin]

_CREATED = dict.fromkeys(
    (
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
        "new_empty_strided",
        "zeros",
        "zeros_like",
        "new_zeros",
        "zero",
    ),
    ZERO,
) | {name: Origin("constant", 1.0) for name in ("ones", "ones_like", "new_ones")}
_COMPARE = frozenset(
    ("gt", "ge", "lt", "le", "eq", "ne", "heaviside", "bernoulli", "logical_not", "logical_and", "logical_or")
)
_SAME_PLACES = frozenset(("clone", "detach", "_to_copy", "contiguous", "alias", "lift_fresh_copy"))
_FIRST_ONLY = frozenset(("index_select", "index", "gather", "take", "repeat"))
_KEEP = words(
    """view _unsafe_view reshape expand permute transpose t squeeze unsqueeze select slice unbind split
    split_with_sizes chunk narrow flatten unflatten alias detach clone contiguous _to_copy lift_fresh_copy repeat
    index index_select gather take cat stack flip roll tril triu max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool2d adaptive_max_pool3d max amax maximum minimum reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d _reshape_alias as_strided unfold im2col
    pixel_shuffle pixel_unshuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d channel_shuffle native_dropout"""
)
_RULES: dict[str, Rule] = {
    "mul": _product,
    "div": _quotient,
    "add": _sum_of_two,
    "sub": _difference,
    "rsub": _reversed_difference,
    "where": _choice,
    "avg_pool1d": _average_pool,
    "avg_pool2d": _average_pool,
    "avg_pool3d": _average_pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "mean": _mean,
    "sum": _total,
    "sign": _sign,
    "abs": _magnitude,
    "neg": _negative,
    "relu": _rectified,
    "constant_pad_nd": _padded,
    "fill": _filled,
    "full": _filled,
    "full_like": _filled,
    "new_full": _filled,
    "scalar_tensor": _filled,
    "copy": _copied,
    "index_put": _written,
    "masked_fill": _written,
    "scatter": _written,
    "index_copy": _written,
}
