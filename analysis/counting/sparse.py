"""Products with sparse matrices, such as the sums over neighbours in a graph."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tetviz.analysis.counting.counts import Counts
from tetviz.analysis.counting.operands import FIXED_KINDS, SPIKE_KINDS, Operand, names_in
from tetviz.analysis.counting.rules import Rules
from tetviz.analysis.counting.spike_check import check_spikes

_MOVES = names_in(
    """_sparse_coo_tensor_with_dims_and_tensors _sparse_coo_tensor_unsafe coalesce _coalesce _coalesced indices _indices
    values _values detach alias clone _to_copy"""
)
_PRODUCTS = names_in("_sparse_addmm _sparse_mm mm addmm")


def is_sparse(value: Any) -> bool:
    """Whether something is a sparse matrix of coordinates and values."""
    return isinstance(value, Tensor) and value.layout is torch.sparse_coo


class SparseRules:
    """Adds to the counts what operations on sparse matrices count as."""

    def __init__(self, counts: Counts, rules: Rules, operand: Callable[[Any], Operand]) -> None:
        self.counts, self._rules, self._operand = counts, rules, operand

    def count(self, name: str, given: list[Any], output: Any, module: str) -> str:
        """Counts an operation some of whose arguments are sparse.

        Returns:
            The layer whose output it gave, if any.
        """
        if name in _MOVES:
            return ""
        if name == "_sparse_softmax" and is_sparse(output):
            values = output._values()
            self.counts.add(module, "softmax", values, norm_mac=values.numel())
            return ""
        factors = [value for value in given if isinstance(value, Tensor)][-2:]
        if name not in _PRODUCTS or [is_sparse(factor) for factor in factors] != [True, False]:
            self.counts.not_counted(f"{name} of sparse tensors", module)
            return ""
        matrix, dense = factors
        of_matrix, of_dense = self._operand(matrix._values()), self._operand(dense)
        if of_dense.kind in FIXED_KINDS:
            if of_matrix.kind in FIXED_KINDS:
                return ""
            return self._rules.rows_times_weights(matrix.to_dense(), of_matrix, dense, module)
        self._sum_of_neighbours(matrix, of_matrix, dense, of_dense, module)
        return ""

    def _sum_of_neighbours(
        self, matrix: Tensor, of_matrix: Operand, dense: Tensor, of_dense: Operand, module: str
    ) -> None:
        # A pair is an entry of the matrix and a feature of the neighbour that it stands for, both not 0.
        present = matrix._values() != 0
        neighbours = matrix._indices()[1][present]
        active = check_spikes(dense, of_dense, self.counts.signs).active.reshape(dense.shape)
        adds = of_dense.kind in SPIKE_KINDS or bool((matrix._values() == 1).all())
        pairs = int(active.sum(1, dtype=torch.float64)[neighbours].sum())
        entries = matrix._values().numel()
        if of_matrix.kind in FIXED_KINDS:
            self.counts.describe(module, entries, of_dense, foldable=False)
        else:
            self.counts.describe_product(module, module, f"{of_matrix.kind} x {of_dense.kind}", "matmul")
        columns: dict[str, int | Tensor] = {
            "ac" if adds else "mac": pairs,
            "dense_mac": entries * dense.shape[1],
            "inbounds_mac": entries * dense.shape[1],
            "active_inputs": int(active.sum()),
            "input_elements": dense.numel(),
        }
        self.counts.add(module, "neighbours", dense, None, **columns)
