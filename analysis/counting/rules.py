"""What each operation of a run counts as."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tetviz.analysis.counting.counts import Counts
from tetviz.analysis.counting.operands import FIXED_KINDS, SPIKE_KINDS, Operand, keeps, names_in, place
from tetviz.analysis.counting.spike_check import check_spikes
from tetviz.analysis.counting.synapses import FanOut, Geometry, active_pairs, inbounds_pairs, windows_of
from tetviz.errors import TetvizError

_CONVOLUTIONS = names_in("convolution _convolution convolution_overrideable")
# name -> positions of the added term (None: there is none) and of the two factors
_PRODUCTS = {
    "mm": (None, 0, 1),
    "bmm": (None, 0, 1),
    "mv": (None, 0, 1),
    "dot": (None, 0, 1),
    "addmm": (0, 1, 2),
    "baddbmm": (0, 1, 2),
    "addmv": (0, 1, 2),
}
_NORMS = names_in(
    """native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training _batch_norm_with_update _batch_norm_no_update native_layer_norm
    native_group_norm"""
)
_POOLS = names_in("avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d mean sum")
_SUMS = names_in("add sub")
_LEAKS = names_in("mul div lerp addcmul")
# Element by element; with a parameter they belong to neurons, or are gains that are listed as not counted.
_ELEMENTWISE = names_in(
    """rsub addcdiv gt ge lt le eq ne heaviside where clamp clamp_min clamp_max maximum minimum pow sigmoid exp copy
    _to_copy fill index_put cat stack prelu _prelu_kernel"""
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a run.

    Attributes:
        name: without namespace, overload and trailing underscore.
        args: its arguments.
        given: the tensors and numbers among them, those in lists one by one.
        operands: what they are made of.
        output: what it gave.
        module: the module that was running.
    """

    name: str
    args: Any
    given: list[Any]
    operands: list[Operand]
    output: Any
    module: str


class Rules:
    """Adds to the counts what each operation counts as.

    Attributes:
        used: places of the weights that an operation has used.
    """

    def __init__(self, counts: Counts, owners: dict[int, str], parameters: set[int], skip_zero_weights: bool) -> None:
        self.counts, self.skip_zero_weights = counts, skip_zero_weights
        self.used: set[int] = set()
        self._owners, self._parameters = owners, parameters
        self._fan_out = FanOut()

    def count(self, operation: Operation) -> str:
        """Counts an operation, and names the layer if its output is that of one with weights."""
        name, operands, output = operation.name, operation.operands, operation.output
        if name in _CONVOLUTIONS or name in _PRODUCTS:
            return self._weighted(operation)
        if name in _NORMS:
            self.counts.add_call(operation.module, output[0].shape, norm_mac=output[0].numel())
            # Only the statistics of a batch normalisation are fixed, and fold into the layer before it.
            self.counts.normalises(operation.module, operands[0].layer if "batch_norm" in name else "")
            self._use(operation)
        elif name in _SUMS:
            self._sum(operation)
        elif name in _POOLS:
            self._pool(operation)
        elif name in _LEAKS:
            self._see_leak(operation)
            self._see_gain(operation)
        elif name in _ELEMENTWISE:
            self._see_gain(operation)
        elif not keeps(name):
            self._see_unknown(operation)
        return ""

    def _weighted(self, operation: Operation) -> str:
        self._use(operation)
        name, args, operands, output = operation.name, operation.args, operation.operands, operation.output
        added, first, second = _PRODUCTS.get(name, (None, 0, 1))
        a, b = operands[first], operands[second]
        if {a.kind, b.kind} <= set(FIXED_KINDS):
            return ""
        if b.kind == "weights" and name in _CONVOLUTIONS:
            return self._convolution(operation)
        if (a.kind == "weights") == (b.kind == "weights") or name in _CONVOLUTIONS:
            self.counts.not_counted(f"{operation.module or 'network'}: {name} of two activations")
            return ""
        x, weight = _as_rows(name, args[first], args[second], weights_first=a.kind == "weights")
        layer = self._owner(args[first] if a.kind == "weights" else args[second], operation.module)
        if weight is None:
            self.counts.not_counted(f"{layer or 'network'}: {name} with several matrices of weights")
            return ""
        geometry = Geometry(tuple(weight.shape), (x.shape[1],))
        bias = output.numel() if added is not None and operands[added].kind == "weights" else 0
        self._pairs(layer, x, b if a.kind == "weights" else a, weight, geometry, weight.numel(), bias)
        return layer

    def _convolution(self, operation: Operation) -> str:
        x, weight, bias = operation.args[:3]
        layer, operand = self._owner(weight, operation.module), operation.operands[0]
        settings = tuple(tuple(value) if isinstance(value, list) else value for value in operation.args[3:9])
        padded = operand.padded == tuple(x.shape[-len(operand.padded) :])
        geometry = Geometry(tuple(weight.shape), tuple(x.shape[1:]), settings, operand.padding if padded else ())
        taps = x if settings[3] else operation.output
        dense = taps.numel() // max(len(x), 1) * weight[0].numel()
        self._pairs(layer, x, operand, weight, geometry, dense, 0 if bias is None else operation.output.numel())
        return layer

    def _pairs(
        self, layer: str, x: Tensor, operand: Operand, weight: Tensor, geometry: Geometry, dense: int, bias: int
    ) -> None:
        seen = check_spikes(x, operand, self.counts.signs)
        fan_out = self._fan_out.map(geometry, weight != 0 if self.skip_zero_weights else None)
        active = active_pairs(seen.active, fan_out)
        if bool(active.isnan().any()):
            raise TetvizError(f"{layer}: its input holds NaN, operations on it cannot be counted; mend the network")
        columns: dict[str, Any] = {
            "dense_mac": dense * len(x),
            "inbounds_mac": inbounds_pairs(geometry, fan_out) * len(x),
            "ac" if operand.kind in SPIKE_KINDS else "mac": active.long(),
            "bias_add": bias,
        }
        if seen.spikes is not None:
            largest = float(seen.spikes.max()) if seen.spikes.numel() else 0.0
            columns["unit_mac"] = active.long()
            columns["unit_ac"] = active_pairs(seen.spikes, fan_out, largest).long()
        call = self.counts.add_call(layer, x.shape, len(x), **columns)
        self.counts.describe(layer, call, x, weight.numel(), operand, foldable=seen.spikes is not None)
        if seen.contradiction:
            self.counts.warn(f"{layer or 'network'}: its input {seen.contradiction}")

    def _sum(self, operation: Operation) -> None:
        if not all(isinstance(value, Tensor) for value in operation.given[:2]):
            return
        a, b = operation.operands[:2]
        moving = [operand.kind not in FIXED_KINDS for operand in (a, b)]
        if all(moving):
            self.counts.add_call(operation.module, operation.output.shape, residual_add=operation.output.numel())
        elif any(moving) and "weights" in (a.kind, b.kind):
            self.counts.add_call(operation.module, operation.output.shape, bias_add=operation.output.numel())

    def _pool(self, operation: Operation) -> None:
        if operation.operands[0].kind in FIXED_KINDS:
            return
        x = operation.args[0]
        active = self.counts.signs.active(x, operation.operands[0])
        windows = windows_of(operation.name, operation.args, operation.output)
        self.counts.add_call(
            operation.module, x.shape, pool_add=active if windows is None else active * windows.to(active)
        )

    def _see_leak(self, operation: Operation) -> None:
        operands = operation.operands[:2]
        fixed = [operand for operand in operands if operand.kind in ("constant", "weights") and operand.unit != 1]
        if fixed and any(operand.kind in ("analog", "zero", "weights") for operand in operands):
            self.counts.leaking.add(operation.module)

    def _see_gain(self, operation: Operation) -> None:
        # Within a neuron it is part of its update, which is only known once it has returned its spikes.
        if any(operand.kind not in FIXED_KINDS for operand in operation.operands):
            for weight in self._use(operation):
                if weight in self._parameters:
                    self.counts.gains[operation.module, self._owners[weight], operation.name] = None

    def _see_unknown(self, operation: Operation) -> None:
        moving = any(operand.kind not in FIXED_KINDS for operand in operation.operands)
        layers = [self._owners[weight] for weight in self._use(operation) if weight in self._owners]
        if moving and layers:
            self.counts.not_counted(f"{layers[0]}: {operation.name} is no operation that is understood")

    def _use(self, operation: Operation) -> list[int]:
        weights = [
            place(value)
            for value, operand in zip(operation.given, operation.operands, strict=True)
            if operand.kind == "weights" and isinstance(value, Tensor)
        ]
        self.used.update(weights)
        return weights

    def _owner(self, weight: Tensor, module: str) -> str:
        return self._owners.get(place(weight), module)


def _as_rows(name: str, a: Tensor, b: Tensor, weights_first: bool) -> tuple[Tensor, Tensor | None]:
    # The activations as (rows, features), the weights as (features, outputs).
    x, weight = (b, a) if weights_first else (a, b)
    if weights_first and name in ("mm", "addmm", "bmm", "baddbmm"):  # the activations stand in the columns
        x, weight = x.transpose(-1, -2), weight.transpose(-1, -2)
    elif weights_first and weight.dim() == 2:  # a matrix times one vector
        weight = weight.t()
    if weight.dim() == 3:
        same = weight.shape[0] == 1 or weight.stride(0) == 0 or bool((weight == weight[:1]).all())
        return x.reshape(-1, x.shape[-1]), weight[0] if same else None
    weight = weight if weight.dim() == 2 else weight[:, None]
    return x.reshape(-1, weight.shape[0]), weight
