"""What each operation of a run counts as."""

from typing import Any

import torch
from torch import Tensor

from tetviz.analysis.counting.counts import Counts
from tetviz.analysis.counting.operands import ANALOG, FIXED_KINDS, SPIKE_KINDS, Operand, names_in, only_moves, place
from tetviz.analysis.counting.operation import Operation
from tetviz.analysis.counting.products import ATTENTIONS, FUSED_GATES, GATES, Products
from tetviz.analysis.counting.spike_check import check_spikes
from tetviz.analysis.counting.synapses import (
    FanOut,
    Geometry,
    active_elements,
    active_pairs,
    inbounds_pairs,
    windows_of,
)
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
    native_group_norm _fused_rms_norm"""
)
# A multiply-add for each element: of the exponentials their sum, of the statistics the squares.
_SCALES = names_in("_softmax _log_softmax _safe_softmax logsumexp var std var_mean std_mean norm linalg_vector_norm")
_POOLS = names_in(
    """avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d mean sum nansum cumsum col2im"""
)
_WEIGHTS = "weights"  # whatever kernel applies them, which may depend on the number of rows
_WEIGHTED = "weighted"  # what is a product of elements with computed weights, and may be summed up
_SUMS = names_in("add sub")
_LEAKS = names_in("mul div lerp addcmul")
_MAY_SCALE = names_in("copy _to_copy fill index_put cat stack prelu _prelu_kernel where masked_fill")


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
        self._products = Products(counts)

    def count(self, operation: Operation) -> dict[str, Any]:
        """Counts an operation.

        Returns:
            The ``layer`` or the ``product`` of elements whose output it gave, if any.
        """
        name = operation.name
        self.used.update(place(weight) for weight in operation.weights)
        if name in _CONVOLUTIONS or name in _PRODUCTS:
            return {"layer": self._weighted(operation)}
        if name in _NORMS or name in _SCALES:
            self._normalise(operation)
        elif name in _SUMS:
            self._sum(operation)
        elif name in _POOLS:
            self._pool(operation)
        elif name in ATTENTIONS:
            self._products.attention(operation)
        elif name == "mkldnn_rnn_layer":
            self._recurrent(operation)
        elif name in FUSED_GATES:
            self._products.gates(operation, operation.output[0], FUSED_GATES[name])
        elif name in GATES or torch.Tag.pointwise in operation.func.tags:
            return {"product": self._elementwise(operation)}
        elif name in _MAY_SCALE:
            self._see_gain(operation)
        elif not only_moves(name):
            self._see_unknown(operation)
        return {}

    def _weighted(self, operation: Operation) -> str:
        name, args, operands, output = operation.name, operation.args, operation.operands, operation.output
        added, first, second = _PRODUCTS.get(name, (None, 0, 1))
        a, b = operands[first], operands[second]
        fixed = [operand.kind in FIXED_KINDS for operand in (a, b)]
        if all(fixed) and {a.kind, b.kind} != {"zero", "weights"}:  # a state of zeros is one that will move
            return ""
        if name in _CONVOLUTIONS:
            if fixed[1]:
                return self._convolution(operation)
            self.counts.not_counted("convolution with weights that are activations", operation.module)
            return ""
        if not any(fixed):
            self._products.matmul(operation, args[first], args[second], a, b)
            return ""
        weights_first = a.kind == "weights" or (fixed[0] and not fixed[1])
        x, weight = _as_rows(name, args[first], args[second], weights_first)
        layer = self._owner(args[first] if weights_first else args[second], operation.module)
        if weight is None:
            self._products.matmul(operation, args[first], args[second], a, b)
            return ""
        geometry = Geometry(tuple(weight.shape), (x.shape[1],))
        bias = output.numel() if added is not None and operands[added].kind == "weights" else 0
        self._pairs(layer, x, b if weights_first else a, weight, geometry, weight.numel(), bias)
        return layer

    def rows_times_weights(self, x: Tensor, operand: Operand, weight: Tensor, module: str) -> str:
        """Counts a product of activations and weights, in x and out y, and names its layer."""
        self.used.add(place(weight))
        layer = self._owner(weight, module)
        self._pairs(layer, x, operand, weight, Geometry(tuple(weight.shape), (x.shape[1],)), weight.numel(), 0)
        return layer

    def _convolution(self, operation: Operation) -> str:
        x, weight, bias = operation.args[:3]
        layer, operand = self._owner(weight, operation.module), operation.operands[0]
        settings = tuple(tuple(value) if isinstance(value, list) else value for value in operation.args[3:9])
        padded = operand.padded == tuple(x.shape[-len(operand.padded) :])
        geometry = Geometry(tuple(weight.shape), tuple(x.shape[1:]), settings, operand.padding if padded else ())
        taps = x if settings[3] else operation.output
        dense = taps.numel() // max(len(x), 1) * weight[0].numel()
        added = 0 if bias is None else operation.output.numel()
        self._pairs(layer, x, operand, weight, geometry, dense, added)
        return layer

    def _pairs(
        self,
        layer: str,
        x: Tensor,
        operand: Operand,
        weight: Tensor,
        geometry: Geometry,
        dense: int,
        bias: int,
    ) -> None:
        seen = check_spikes(x, operand, self.counts.signs)
        fan_out = self._fan_out.map(geometry, weight != 0 if self.skip_zero_weights else None)
        pairs = active_elements if self.counts.needs_elements((layer, _WEIGHTS), x.shape) else active_pairs
        active = pairs(seen.active, fan_out)
        if bool(active.isnan().any()):
            raise TetvizError(f"{layer}: its input holds NaN, operations on it cannot be counted; mend the network")
        columns: dict[str, int | Tensor] = {
            "ac" if operand.kind in SPIKE_KINDS else "mac": active,
            "dense_mac": dense * len(x),
            "inbounds_mac": inbounds_pairs(geometry, fan_out) * len(x),
            "bias_add": bias,
            "active_inputs": seen.active,
            "input_elements": x.numel(),
        }
        if seen.spikes is not None:
            columns["unit_mac"] = active
            columns["unit_ac"] = (
                active_elements(seen.spikes, fan_out)
                if pairs is active_elements
                else active_pairs(seen.spikes, fan_out, float(seen.spikes.max()) if seen.spikes.numel() else 0.0)
            )
        static = self.counts.describe(layer, weight.numel(), operand, foldable=seen.spikes is not None)
        self.counts.add(layer, _WEIGHTS, x, x if static else None, **columns)
        if seen.contradiction:
            self.counts.warn(f"{layer or 'network'}: its input {seen.contradiction}")

    def _recurrent(self, operation: Operation) -> None:
        # All steps of one layer in one kernel: the states that it multiplies are those that it gives.
        named, output = operation.named, operation.output[0]
        x, state = (operation.operand(named[name]) for name in ("input", "hx_"))
        steps = named["input"].transpose(0, 1) if named["batch_first"] else named["input"]
        states = output.transpose(0, 1) if named["batch_first"] else output
        if named["batch_sizes"] or states.dim() != 3:
            self._see_unknown(operation)
            return
        ordered = states.flip(0) if named["reverse"] else states
        self._linear(operation, named["weight0"], steps.reshape(-1, steps.shape[-1]), x, named["weight2"])
        first = named["hx_"].reshape(-1, states.shape[-1])
        for t, each in enumerate([first, *ordered[:-1]]):
            self._linear(operation, named["weight1"], each, ANALOG if t else state, named["weight3"])
            known = operation.operand(named["cx_"]).kind in FIXED_KINDS
            self._products.gates(operation, each, 3 if t or not known else 2)

    def _linear(self, operation: Operation, weight: Tensor, x: Tensor, operand: Operand, bias: Tensor) -> None:
        geometry = Geometry(tuple(weight.t().shape), (x.shape[1],))
        layer, added = (
            self._owner(weight, operation.module),
            len(x) * len(weight) if operation.named["has_biases"] else 0,
        )
        self._pairs(layer, x, operand, weight.t(), geometry, weight.numel(), added)

    def _normalise(self, operation: Operation) -> None:
        if not operation.moving:
            return
        batch, output = "batch_norm" in operation.name, operation.output
        passing = operation.args[0] if operation.name in _SCALES else output[0] if isinstance(output, tuple) else output
        self.counts.add(operation.module, operation.name, passing, norm_mac=passing.numel())
        # Only the statistics of a batch normalisation are fixed, and fold into the layer before it.
        self.counts.normalises(operation.module, operation.operands[0].layer if batch else "")

    def _sum(self, operation: Operation) -> None:
        if not all(isinstance(value, Tensor) for value in operation.given[:2]):
            return
        a, b = operation.operands[:2]
        moving = [operand.kind not in FIXED_KINDS for operand in (a, b)]
        if all(moving):
            self.counts.add(operation.module, "add", operation.output, residual_add=operation.output.numel())
        elif any(moving) and "weights" in (a.kind, b.kind):
            self.counts.add(operation.module, "bias", operation.output, bias_add=operation.output.numel())

    def _pool(self, operation: Operation) -> None:
        x, operand = operation.args[0], operation.operands[0]
        if operand.kind in FIXED_KINDS:
            return
        if operand.product == _WEIGHTED:
            self.counts.not_counted("sum of activations times computed weights", operation.module)
        elif operand.product:  # its additions are those of the products
            self.counts.layers[operand.product].summed = True
            return
        active = self.counts.signs.active(x, operand)
        windows = windows_of(operation.name, operation.args, operation.output)
        if windows is not None and bool((windows != 1).any()):
            active = active * windows.to(active)
        self.counts.add(operation.module, operation.name, x, pool_add=active)

    def _elementwise(self, operation: Operation) -> str:
        if operation.name in _LEAKS:
            self._see_leak(operation)
        row = self._products.elementwise(operation)
        if row:
            return row
        self._see_gain(operation)
        return _WEIGHTED if operation.name == "mul" and self._weighs(operation) else ""

    def _weighs(self, operation: Operation) -> bool:
        """Whether weights that were computed multiply an activation: with a sum behind, that is a layer."""
        computed = [each for each in operation.weights if each.numel() > 1 and place(each) not in self._owners]
        return bool(operation.moving and computed)

    def _see_leak(self, operation: Operation) -> None:
        operands = operation.operands[:2]
        fixed = [operand for operand in operands if operand.kind in ("constant", "weights") and operand.unit != 1]
        if fixed and any(operand.kind in ("analog", "zero", "weights") for operand in operands):
            self.counts.leaking.add(operation.module)

    def _see_gain(self, operation: Operation) -> None:
        # Within a neuron it is part of its update, which is only known once it has returned its spikes.
        if operation.moving:
            for weight in map(place, operation.weights):
                if weight in self._parameters:
                    self.counts.gains[operation.module, self._owners[weight], operation.name] = None

    def _see_unknown(self, operation: Operation) -> None:
        if operation.moving:
            weights = [self._owners[place(each)] for each in operation.weights if place(each) in self._owners]
            what = f"{operation.name} is no operation that is understood, so what it computes is not known"
            self.counts.not_counted(what, weights[0] if weights else operation.module)

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
