"""One operation of a run, as the rules see it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from tetviz.analysis.counting.operands import FIXED_KINDS, Operand


@dataclass(frozen=True)
class Operation:
    """One operation of a run.

    Attributes:
        name: without namespace, overload and trailing underscore.
        func: the operation itself.
        args: its arguments.
        kwargs: its arguments by name.
        given: the tensors and numbers among them, those in lists one by one.
        operands: what they are made of.
        output: what it gave.
        module: the module that was running.
    """

    name: str
    func: Any
    args: Any
    kwargs: Any
    given: list[Any]
    operands: list[Operand]
    output: Any
    module: str

    @cached_property
    def named(self) -> dict[str, Any]:
        """All arguments by name."""
        names = [argument.name for argument in self.func._schema.arguments]
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}

    def operand(self, tensor: Tensor) -> Operand:
        """What one of the arguments is made of."""
        return next(o for given, o in zip(self.given, self.operands, strict=True) if given is tensor)

    @property
    def moving(self) -> list[Operand]:
        """The operands that are not the same in every run."""
        return [operand for operand in self.operands if operand.kind not in FIXED_KINDS]

    @property
    def weights(self) -> list[Tensor]:
        """The tensors among its arguments that are weights, or made of weights alone."""
        pairs = zip(self.given, self.operands, strict=True)
        return [given for given, operand in pairs if operand.kind == "weights" and isinstance(given, Tensor)]
