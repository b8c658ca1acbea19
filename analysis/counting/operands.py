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

SPIKE_KINDS = ("binary", "scaled", "ternary")
COUNTABLE_KINDS = (*SPIKE_KINDS, "graded", "pooled")
FIXED_KINDS = ("zero", "constant", "weights")


@dataclass(frozen=True)
class Operand:
    """What an operand of an operation is made of.

    Attributes:
        kind: ``zero``, ``constant``, ``weights`` (parameters and buffers), ``binary``, ``scaled``, ``ternary``,
            ``graded``, ``pooled``, ``data`` (the network's input), ``analog``, or ``mixed`` (spikes and other values).
        unit: the value that one spike contributes; None where there is no single one.
        makers: the modules whose comparisons made the spikes.
        static: of data, whether it is the same at every step.
        padding: zero margins that an explicit padding has just added, last axis first, as torch orders them.
        padded: sizes of the axes with these margins; a view of other sizes has them no more.
        layer: the layer whose output this is, unchanged but for its shape.
        product: the product of elements that this is, unchanged but for its shape and scale.
        root: number of the sum that this is, times or plus what is fixed; 0 where that is not followed.
        potentials: of spikes, the roots of what was compared to make them.
    """

    kind: str
    unit: float | None = None
    makers: frozenset[str] = frozenset()
    static: bool = False
    padding: tuple[int, ...] = ()
    padded: tuple[int, ...] = ()
    layer: str = ""
    product: str = ""
    root: int = 0
    potentials: frozenset[int] = frozenset()

    def resets(self, other: "Operand") -> bool:
        """Whether one of two factors is a potential, and the other the spikes that it made."""
        return self.root in other.potentials or other.root in self.potentials


ZERO, CONSTANT, WEIGHTS, ANALOG = Operand("zero", 0.0), Operand("constant"), Operand("weights"), Operand("analog")


def names_in(text: str) -> frozenset[str]:
    """A set of names."""
    return frozenset(text.split())


def place(tensor: Tensor) -> int:
    """Where the memory of a tensor and of its views begins."""
    return tensor.untyped_storage().data_ptr()


def constant(value: float) -> Operand:
    """A number."""
    return Operand("constant", float(value)) if value else ZERO


def joined(operands: Sequence[Operand]) -> Operand:
    """What holds parts of several tensors, as a concatenation does."""
    alike = (replace(operand, root=0, potentials=frozenset()) for operand in operands)
    parts = [operand for operand in dict.fromkeys(alike) if operand.kind != "zero"]
    if len(parts) < 2:
        return parts[0] if parts else ZERO
    kinds = {part.kind for part in parts}
    units = {part.unit for part in parts}
    unit = units.pop() if len(units) == 1 else None
    makers = frozenset().union(*(part.makers for part in parts))
    if len(kinds) == 1:
        return Operand(kinds.pop(), unit, makers, all(part.static for part in parts))
    if kinds <= set(SPIKE_KINDS):
        return Operand("ternary" if "ternary" in kinds else "scaled", unit, makers)
    if kinds <= {*SPIKE_KINDS, "graded"}:
        return Operand("graded", unit, makers)
    if kinds & set(COUNTABLE_KINDS):
        return Operand("mixed", None, makers)
    if kinds == {"constant"}:
        return CONSTANT
    return WEIGHTS if kinds <= set(FIXED_KINDS) else ANALOG


def derive(name: str, operands: Sequence[Operand], args: Sequence[Any], output: Any, module: str) -> Operand:
    """What an operation makes of its operands."""
    if name in _CREATED:
        return _CREATED[name]
    if name in _COMPARE:
        fixed = all(operand.kind in FIXED_KINDS for operand in operands)
        return WEIGHTS if fixed else Operand("binary", 1.0, frozenset({module}))
    if name in _KEEP:
        kept = joined(operands[:1] if name in _FIRST_ONLY else operands)
        if kept.kind in ("constant", "weights") and not all(operand.kind in FIXED_KINDS for operand in operands):
            return ANALOG  # which of the fixed values are taken is not fixed
        return kept if name in _SAME_PLACES else replace(kept, padding=())
    if name in _RULES:
        return _RULES[name](operands, args, output)
    if operands and all(operand.kind in FIXED_KINDS for operand in operands):
        return WEIGHTS
    if isinstance(output, Tensor) and output.dtype == torch.bool:
        return Operand("binary", 1.0, frozenset({module}))  # such as s & r
    return ANALOG


def follow(name: str, made: Operand, operands: Sequence[Operand], new: int) -> Operand:
    """What an operation has made, with the potential that it is or comes from.

    Args:
        new: a number that no other sum has.
    """
    moving = [operand for operand in operands if operand.kind not in FIXED_KINDS]
    if made.kind in FIXED_KINDS or not moving:
        return made
    if made.kind in SPIKE_KINDS:
        roots = frozenset(operand.root for operand in moving if name in _COMPARE) - {0}
        return replace(made, potentials=roots.union(*(operand.potentials for operand in moving)))
    if made.kind == "data" and name not in ("add", "sub"):
        return made
    same = len(moving) == 1 and (name in _LINEAR or keeps(name))
    return replace(made, root=moving[0].root if same and moving[0].root else new)


def keeps(name: str) -> bool:
    """Whether an operation only moves or chooses values."""
    return name in _KEEP or name in _CREATED


def only_moves(name: str) -> bool:
    """Whether an operation adds and multiplies nothing: it makes, moves, chooses, orders, draws or reads values."""
    return keeps(name) or name in _RULES or name in _COMPARE or name in _CHOOSES


def _product(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    a, b = sorted(operands[:2], key=lambda operand: operand.kind in FIXED_KINDS)
    if "zero" in (a.kind, b.kind):
        return ZERO
    if b.kind in FIXED_KINDS:
        factor = b.unit if b.kind == "constant" else None
        return times(a, factor)
    if {a.kind, b.kind} <= {"binary", "ternary"}:
        kind = "binary" if a.kind == b.kind == "binary" else "ternary"
        return Operand(kind, 1.0 if kind == "binary" else None, a.makers | b.makers)
    if {a.kind, b.kind} <= set(SPIKE_KINDS):
        return Operand("scaled", None, a.makers | b.makers)
    return ANALOG


def times(operand: Operand, factor: float | None) -> Operand:
    """What a fixed factor makes of a tensor.

    Args:
        factor: None where it is not a single number.
    """
    if operand.kind in FIXED_KINDS:
        return WEIGHTS
    if factor == 1:
        return operand
    if operand.kind in COUNTABLE_KINDS:
        unit = None if factor is None or operand.unit is None else operand.unit * factor
        return replace(operand, kind="scaled" if operand.kind in SPIKE_KINDS else operand.kind, unit=unit, padding=())
    if operand.kind == "data":
        return replace(operand, padding=(), layer="")
    return replace(ANALOG, product=operand.product)


def _quotient(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    divisor = operands[1]
    if divisor.kind not in FIXED_KINDS or divisor.kind == "zero":
        return ANALOG
    return times(operands[0], 1 / divisor.unit if divisor.kind == "constant" and divisor.unit else None)


def _sum_of_two(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    a, b = operands[:2]
    if "zero" in (a.kind, b.kind):
        return b if a.kind == "zero" else a
    if {a.kind, b.kind} <= set(FIXED_KINDS):
        return WEIGHTS
    if len(operands) == 2 and {a.kind, b.kind} <= {*SPIKE_KINDS, "graded"}:
        return Operand("graded", a.unit if a.unit == b.unit else None, a.makers | b.makers)
    if len(operands) == 2 and a.kind == b.kind == "pooled":
        return Operand("pooled", a.unit if a.unit == b.unit else None, a.makers | b.makers)
    if "data" in (a.kind, b.kind) and {a.kind, b.kind} <= {"data", *FIXED_KINDS}:
        return Operand("data", static=all(each.static or each.kind in FIXED_KINDS for each in (a, b)))
    return ANALOG


def _difference(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    a, b = operands[:2]
    if a.kind == b.kind == "binary":
        return Operand("ternary", None, a.makers | b.makers)
    if a.kind == "constant" and a.unit == 1 and b.kind == "binary":
        return b  # 1 - s, the places without a spike
    if a.kind in COUNTABLE_KINDS and b.kind in COUNTABLE_KINDS:
        return ANALOG
    return _sum_of_two(operands[:2], args, output)


def _reversed_difference(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return _difference([operands[1], operands[0]], args, output)


def _choice(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    condition, a, b = operands[:3]
    if condition.kind in FIXED_KINDS or not {a.kind, b.kind} <= set(FIXED_KINDS):
        return joined([a, b])
    # Fixed values at places that are not fixed: so spikes may be written.
    values = [operand for operand in (a, b) if operand.kind != "zero"]
    units = {operand.unit for operand in values}
    if not values:
        return ZERO
    if condition.kind == "binary" and units == {1.0, -1.0}:
        return Operand("ternary", None, condition.makers)
    if condition.kind == "binary" and (len(values) == 1 or (len(units) == 1 and None not in units)):
        unit = units.pop()
        return Operand("binary" if unit == 1 else "scaled", unit, condition.makers)
    return ANALOG


def _average_pool(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
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
    return _averaged(operands[0], window if apart and not ceiling else None)


def _adaptive_pool(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    axes = len(_sizes(args[1]))
    sizes = list(zip(args[0].shape[-axes:], output.shape[-axes:], strict=True))
    return _averaged(operands[0], math.prod(a // b for a, b in sizes) if not any(a % b for a, b in sizes) else None)


def _mean(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return _averaged(operands[0], args[0].numel() // max(output.numel(), 1))


def _averaged(operand: Operand, window: int | None) -> Operand:
    if operand.kind not in COUNTABLE_KINDS:
        return times(operand, None)
    unit = None if window is None or operand.unit is None else operand.unit / window
    return Operand("pooled", unit, operand.makers)


def _total(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    operand = operands[0]
    if operand.product:
        return ANALOG  # as of a product of matrices
    if operand.kind not in COUNTABLE_KINDS:
        return times(operand, None)
    return Operand("pooled" if operand.kind == "pooled" else "graded", operand.unit, operand.makers)


def _sign(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    operand = operands[0]
    return operand if operand.kind in ("binary", *FIXED_KINDS) else Operand("ternary", None, operand.makers)


def _magnitude(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    operand = operands[0]
    return Operand("binary", 1.0, operand.makers) if operand.kind == "ternary" else times(operand, None)


def _negative(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return times(operands[0], -1.0)


def _rectified(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return operands[0] if operands[0].kind == "binary" else times(operands[0], None)


def _padded(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    value = args[2] if len(args) > 2 else 0
    if value:
        return joined([operands[0], constant(value)])
    return replace(operands[0], padding=tuple(args[1]), padded=tuple(output.shape[-(len(args[1]) // 2) :]))


def _filled(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return operands[-1] if isinstance(args[-1], Tensor) else constant(args[-1])


def _copied(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    return operands[1]


def _written(operands: Sequence[Operand], args: Sequence[Any], output: Any) -> Operand:
    places = next((operand for operand in operands[1:-1] if operand.kind not in FIXED_KINDS), CONSTANT)
    return _choice([places, operands[-1], operands[0]], args, output)


def _sizes(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


_Rule = Callable[[Sequence[Operand], Sequence[Any], Any], Operand]

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
) | {name: Operand("constant", 1.0) for name in ("ones", "ones_like", "new_ones")}
_COMPARE = frozenset(
    ("gt", "ge", "lt", "le", "eq", "ne", "heaviside", "bernoulli", "logical_not", "logical_and", "logical_or")
)
_SAME_PLACES = frozenset(("clone", "detach", "_to_copy", "contiguous", "alias", "lift_fresh_copy"))
_FIRST_ONLY = frozenset(("index_select", "index", "gather", "take", "repeat"))
_KEEP = names_in(
    """view _unsafe_view reshape expand permute transpose t squeeze unsqueeze select slice unbind split
    split_with_sizes chunk narrow flatten unflatten alias detach clone contiguous _to_copy lift_fresh_copy repeat
    index index_select gather take cat stack flip roll tril triu max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool2d adaptive_max_pool3d max amax maximum minimum reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d _reshape_alias as_strided unfold im2col
    pixel_shuffle pixel_unshuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d channel_shuffle native_dropout"""
)
_CHOOSES = names_in(
    """max min argmax argmin any all topk sort argsort kthvalue median nanmedian mode cummax cummin _cummax_helper
    _cummin_helper nonzero unique _unique2 unique_consecutive unique_dim searchsorted bucketize count_nonzero
    max_pool1d_with_indices max_pool2d max_pool3d fractional_max_pool2d max_unpool2d adaptive_max_pool1d amin aminmax
    item _local_scalar_dense equal is_nonzero isclose allclose _assert_async _assert_scalar rand_like randn_like
    randint_like uniform normal random exponential geometric cauchy log_normal multinomial randperm one_hot
    constant_pad_nd index_fill masked_select masked_scatter select_scatter slice_scatter diagonal_scatter select_copy
    slice_copy view_copy permute_copy transpose_copy expand_copy squeeze_copy unsqueeze_copy diag_embed diagonal rot90
    repeat_interleave set resize resize_as swapaxes unsafe_split _pin_memory is_pinned
    _nested_tensor_from_mask empty_permuted arange linspace eye tril_indices triu_indices complex view_as_real
    view_as_complex real imag conj _conj resolve_conj resolve_neg unfold_copy native_channel_shuffle
    channel_shuffle bernoulli dropout native_dropout alpha_dropout feature_dropout combinations"""
)
_LINEAR = names_in("add sub rsub mul div neg")
_RULES: dict[str, _Rule] = {
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
    "_adaptive_avg_pool3d": _adaptive_pool,
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
