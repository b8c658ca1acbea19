"""What an operation costs, in pJ: cost models of compute and memory, as presets or from a TOML file."""

import json
import math
import tomllib
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tetviz.errors import ResultError, TetvizError, reading, unknown
from tetviz.results import OperationCounts
from tetviz.results.contents import open_regular
from tetviz.results.plain import read_json
from tetviz.results.schema import FloatArray


def _check_number(name: str, value: Any, positive: bool = False) -> None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name}: expected a finite number {'above' if positive else 'of at least'} 0, got {value!r}")


def _check_bits(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: expected a whole number of bits from 1, got {value!r}")


@dataclass(frozen=True)
class MemoryModel:
    """What moving data costs.

    An access of b bits to a memory of a given size costs b / access_bits times what ``pj`` says, by linear
    interpolation over ``sizes``; beyond the last size it costs what it costs there.

    Attributes:
        name: of the model.
        source: where the numbers come from.
        access_bits: width of the access that ``pj`` is the energy of.
        sizes: sizes of a memory in bytes, ascending.
        pj: energy of one access at each size, in pJ.
        potential_per_operation: whether without reuse each operation also reads and writes the potential that it
            adds to, as in an event-driven accelerator.
    """

    name: str
    source: str
    access_bits: int
    sizes: tuple[float, ...]
    pj: tuple[float, ...]
    potential_per_operation: bool = False

    def __post_init__(self) -> None:
        """Checks the numbers."""
        _check_bits("access_bits", self.access_bits)
        for name in ("sizes", "pj"):
            values = getattr(self, name)
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"{name}: expected a list of numbers, got {values!r}")
            for value in values:
                _check_number(name, value)
            object.__setattr__(self, name, tuple(map(float, values)))
        if len(self.sizes) != len(self.pj):
            raise ValueError(f"pj: expected one number for each of the {len(self.sizes)} sizes, got {len(self.pj)}")
        if any(later <= earlier for earlier, later in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError(f"sizes: expected ascending numbers of bytes, got {list(self.sizes)}")
        if not isinstance(self.potential_per_operation, bool):
            raise ValueError(f"potential_per_operation: expected true or false, got {self.potential_per_operation!r}")

    def pj_per_bit(self, size: Any) -> FloatArray:
        """The energy of moving one bit.

        Args:
            size: size of the memory that is accessed in bytes, any shape.

        Returns:
            Energy in pJ, of the same shape.
        """
        return np.asarray(np.interp(size, self.sizes, self.pj) / self.access_bits)


@dataclass(frozen=True)
class CostModel:
    """What operations cost, in pJ.

    Attributes:
        name: of the model.
        source: where the numbers come from.
        mac: a multiply-accumulate.
        ac: an accumulate, the addition of a weight.
        mul: a multiplication.
        add: an addition.
        compare: a comparison with the threshold, and a reset.
        weight_bits: width of a weight, in bits.
        state_bits: width of a membrane potential, in bits.
        memory: what moving them costs; None if that is not counted.
    """

    name: str
    source: str
    mac: float
    ac: float
    mul: float
    add: float
    compare: float
    weight_bits: int
    state_bits: int
    memory: MemoryModel | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name in ("mac", "ac", "mul", "add", "compare"):
            _check_number(name, getattr(self, name), positive=name in ("mac", "ac"))
        for name in ("weight_bits", "state_bits"):
            _check_bits(name, getattr(self, name))

    def constants(self) -> str:
        """The two numbers of the headline in words.

        Returns:
            Such as ``45nm-fp32 (4.6 pJ a MAC, 0.9 pJ an AC)``.
        """
        return f"{self.name} ({self.mac:g} pJ a MAC, {self.ac:g} pJ an AC)"


_Model = TypeVar("_Model", "CostModel", "MemoryModel")
_HOROWITZ = "Horowitz, ISSCC 2014, 45 nm"


def _arithmetic(name: str, mul: float, add: float, weight_bits: int, state_bits: int, note: str = "") -> CostModel:
    # A MAC is a multiplication and an addition, a comparison a subtraction. round() takes 0.2 + 0.03 to 0.23.
    mac = round(mul + add, 6)
    return CostModel(name, _HOROWITZ + note, mac, add, mul, add, add, weight_bits, state_bits)


COSTS = {
    model.name: model
    for model in (
        _arithmetic("45nm-fp32", 3.7, 0.9, 32, 32),
        _arithmetic("45nm-fp16", 1.1, 0.4, 16, 16),
        _arithmetic("45nm-int32", 3.1, 0.1, 32, 32),
        _arithmetic("45nm-int8", 0.2, 0.03, 8, 8, "; 8-bit accumulators, which overflow in most layers"),
        _arithmetic("45nm-int8-acc32", 0.2, 0.1, 8, 32, "; 8-bit multiplications into 32-bit accumulators"),
    )
}

MEMORIES = {
    model.name: model
    for model in (
        MemoryModel("flat", "3.12 pJ per bit, 24.96 pJ per byte, of any memory (Shen et al. 2025)", 8, (0,), (24.96,)),
        MemoryModel(
            "sram",
            "SRAM by its size, per 64-bit access (Horowitz, ISSCC 2014; interpolation of Lemaire et al. 2022)",
            64,
            (0, 8 * 1024, 32 * 1024, 1024 * 1024),
            (0, 10, 20, 100),
            potential_per_operation=True,
        ),
    )
}


def load_cost(cost: str | Path) -> CostModel:
    """A cost model by its name, or from a TOML file.

    Args:
        cost: a name of ``COSTS``, or a TOML file with all attributes of :class:`CostModel`. Its ``memory`` may be
            left out, and is a name of ``MEMORIES`` or a table of the attributes of :class:`MemoryModel`.

    Returns:
        The model.

    Raises:
        TetvizError: an unknown name; a file that is missing or no TOML, lacks a key, has one that is not known, or
            a value that is no energy.
    """
    return COSTS.get(str(cost)) or _read(Path(cost))


def cost_text(cost: CostModel) -> str:
    """A cost model as the text that a result stores, so that it needs no other file.

    Args:
        cost: any cost model.

    Returns:
        Its name, or all of its numbers as JSON where it is none of :data:`COSTS`.
    """
    return cost.name if COSTS.get(cost.name) == cost else json.dumps(asdict(cost))


def cost_of(counts: OperationCounts) -> CostModel:
    """The cost model that counts name, the reverse of :func:`cost_text`."""
    if counts.cost in COSTS:
        return COSTS[counts.cost]
    try:
        # Neither the name of a file, which may be any of this machine, nor numbers that a model cannot have.
        stored = read_json(counts.cost, "it")
        memory = stored.pop("memory", None)
        model = None if memory is None else _build(MemoryModel, memory, "memory.")
        return _build(CostModel, stored | {"memory": model}, "")
    except (ValueError, TypeError, AttributeError, TetvizError) as error:
        raise ResultError(f"the cost model of these counts cannot be read: {error}; measure again") from error


def with_memory(cost: CostModel, memory: str) -> CostModel:
    """A cost model with another memory."""
    return replace(cost, memory=None if memory == "none" else _memory(memory))


def break_even(cost: CostModel) -> float:
    """Spikes per synapse per inference at which accumulates cost what the multiply-accumulates of an ANN do.

    Compute alone: E_MAC / E_AC, 5.11 for 45 nm fp32. See ``MEMORY_AWARE_BAND`` for what memory makes of it.

    Args:
        cost: the cost model.

    Returns:
        S*, spikes per synapse per inference; an SNN of fewer is cheaper than an ANN of the same shapes.
    """
    return cost.mac / cost.ac


# Spikes per synapse per inference below which an SNN is cheaper, by accelerator of the ANN (Dampfhoffer et al. 2022).
MEMORY_AWARE_BAND = (0.15, 1.38)


def quantised_bits(timesteps: int) -> int:
    """Bits of activation that hold as many values as the spike count of T steps: ceil(log2(T + 1)).

    Yan, Bai, Wong 2024 (arXiv 2409.08290): the quantised ANN that an SNN of T steps has to be compared with.
    """
    return timesteps.bit_length()


def crossover_rate(timesteps: int, weight_bits: int = 8) -> float:
    """Spikes per neuron and step at which an SNN moves as many bits of weights as its quantised ANN.

    rate * T * weight_bits = b with b = ceil(log2(T + 1)): each spike reads a weight of the SNN, the ANN reads each of
    its b-bit weights once. For T = 5 to 10: 7.50, 6.25, 5.36, 6.25, 5.56, 5.00 %; Yan, Bai, Wong 2024 put it at 5.7 to
    6.4 % by a fuller model.

    Args:
        timesteps: number of timesteps T.
        weight_bits: width of a weight of the SNN.

    Returns:
        The rate, a fraction; an SNN that fires less moves less.
    """
    return quantised_bits(timesteps) / (weight_bits * timesteps)


def quantised_mac(activation_bits: int) -> float:
    """Energy of a multiply-accumulate of an 8-bit weight and a b-bit activation, into 32 bits, in 45 nm.

    0.2 pJ * b / 8 + 0.1 pJ: the energy of a multiplier goes with the product of the widths, as Horowitz's own
    numbers do (3.1 pJ for 32 x 32 bits is 15.5 times the 0.2 pJ for 8 x 8 bits).

    Returns:
        Energy in pJ.
    """
    base = COSTS["45nm-int8-acc32"]
    return base.mul * activation_bits / base.weight_bits + base.add


def _read(file: Path) -> CostModel:
    if file.suffix != ".toml":
        raise TetvizError(f"{unknown('cost model', str(file), COSTS)}; or name a .toml file")
    if not file.exists():
        raise TetvizError(f"{file}: no such cost model file; known models: {', '.join(COSTS)}")
    with reading(file, TetvizError, "not a readable TOML file", "mend it"), open_regular(file) as content:
        table = tomllib.load(content)
    try:
        memory = table.get("memory")
        if isinstance(memory, dict):
            table["memory"] = _build(MemoryModel, memory, "memory.")
        elif memory is not None:
            table["memory"] = _memory(memory)
        if isinstance(table.get("name"), str) and table["name"] in COSTS:
            raise ValueError(f"name {table['name']!r} is that of a built-in model; choose another")
        return _build(CostModel, table, "")
    except (ValueError, TetvizError) as error:
        raise TetvizError(f"{file}: {error}") from error


def _build(kind: type[_Model], table: dict[str, Any], prefix: str) -> _Model:
    known = {field.name: field.default is MISSING for field in fields(kind)}
    for name in table:
        if name not in known:
            raise ValueError(unknown("key", f"{prefix}{name}", [f"{prefix}{each}" for each in known]))
    missing = [f"{prefix}{name}" for name, needed in known.items() if needed and name not in table]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}")
    for name in ("name", "source"):
        if not isinstance(table[name], str) or not table[name].strip():
            raise ValueError(f"{prefix}{name}: expected a text, got {table[name]!r}")
    return kind(**table)


def _memory(name: Any) -> MemoryModel:
    if not isinstance(name, str) or name not in MEMORIES:
        raise TetvizError(unknown("memory model", str(name), [*MEMORIES, "none"]))
    return MEMORIES[name]
