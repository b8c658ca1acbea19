"""The cost model that counts were measured for, in their file: a name, or all of its numbers."""

import dataclasses
import json
from typing import Any

from tetviz.errors import ResultError
from tetviz.results import OperationCounts
from tetviz.summaries.costs import COSTS, CostModel, MemoryModel, load_cost


def cost_text(cost: CostModel) -> str:
    """A cost model as the text that a result stores, so that it needs no other file."""
    return cost.name if COSTS.get(cost.name) == cost else json.dumps(dataclasses.asdict(cost))


def cost_of(counts: OperationCounts) -> CostModel:
    """The cost model that counts name, the reverse of :func:`cost_text`."""
    if not counts.cost.startswith("{"):
        return load_cost(counts.cost)
    try:
        stored: dict[str, Any] = json.loads(counts.cost)
        memory = stored.pop("memory", None)
        return CostModel(**stored, memory=None if memory is None else MemoryModel(**memory))
    except (ValueError, TypeError) as error:
        raise ResultError(f"the cost model of these counts cannot be read: {error}; measure again") from error
