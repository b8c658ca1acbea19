"""Planes through a checkpoint: pairs of random directions, as many as asked for, each with its own seeds."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from torch import nn

from tetviz.errors import CheckpointError
from tetviz.landscape.directions import (
    HOLD_ALL_BUT_WEIGHTS,
    Direction,
    inner,
    parameter_filters,
    parameter_roles,
    random_direction,
    rescaled,
)

_RIGHT_ANGLE = 1e-12
_MAX_ROUNDS = 200


@dataclass(frozen=True)
class Plane:
    """Two directions through a checkpoint.

    Attributes:
        x: first direction, parameter name to tensor.
        y: second direction.
        seed: the seed that the plane was asked for with.
        direction_seeds: the seed of each direction, from which :func:`random_direction` rebuilds it; -1 where it
            is not random.
        norm: how the directions are normalised.
        policy: what is done with each role of parameter.
        orthogonal: whether the second direction was turned to stand at a right angle on the first.
    """

    x: Direction
    y: Direction
    seed: int
    direction_seeds: tuple[int, int]
    norm: str
    policy: Mapping[str, str]
    orthogonal: bool = False

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the directions; NaN where one of them is zero."""
        lengths = math.sqrt(inner(self.x, self.x) * inner(self.y, self.y))
        return inner(self.x, self.y) / lengths if lengths else float("nan")


def plane_seeds(seed: int, planes: int) -> list[tuple[int, int]]:
    """The seeds of the directions of several planes; the first planes of a longer list are the same."""
    words = np.random.SeedSequence(seed).generate_state(2 * planes)
    return [(int(x), int(y)) for x, y in words.reshape(planes, 2)]


def random_plane(
    model: nn.Module,
    seed: int,
    norm: str = "filter",
    policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS,
    orthogonal: bool = False,
) -> Plane:
    """Two independent random directions, each with a seed of its own that follows from the plane's.

    Args:
        model: the network that the plane goes through.
        seed: seed of the plane.
        norm: as in :func:`random_direction`.
        policy: as in :func:`random_direction`; by default weights are random and all else is held.
        orthogonal: turn the second direction to stand at a right angle on the first. In many dimensions they
            nearly do anyway.

    Returns:
        The plane.

    Raises:
        CheckpointError: the directions cannot be made orthogonal.
        ValueError: an unknown norm, role or treatment.
    """
    return RandomPlanes(model, seed, 1, norm, policy, orthogonal)[0]


class RandomPlanes(Sequence[Plane]):
    """Independent random planes through one checkpoint, each built when it is asked for.

    Args:
        model: the network that they go through.
        seed: seed of all of them.
        planes: how many.
        norm: as in :func:`random_direction`.
        policy: as in :func:`random_direction`.
        orthogonal: as in :func:`random_plane`.
    """

    def __init__(
        self,
        model: nn.Module,
        seed: int,
        planes: int,
        norm: str = "filter",
        policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS,
        orthogonal: bool = False,
    ) -> None:
        # A copy: planes are built late, and filters must have the norms of the network as it is now.
        self.model = copy.deepcopy(model)
        self.seed, self.norm, self.policy, self.orthogonal = seed, norm, dict(policy), orthogonal
        self.seeds = plane_seeds(seed, planes)

    def __len__(self) -> int:
        return len(self.seeds)

    @overload
    def __getitem__(self, index: int) -> Plane: ...

    @overload
    def __getitem__(self, index: slice) -> list[Plane]: ...

    def __getitem__(self, index: int | slice) -> Plane | list[Plane]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        seeds = self.seeds[index]
        x, y = (random_direction(self.model, seed, self.norm, self.policy) for seed in seeds)
        if self.orthogonal:
            y = orthogonalized(self.model, x, y, self.norm, self.policy)
        return Plane(x, y, self.seed, seeds, self.norm, self.policy, self.orthogonal)


def orthogonalized(
    model: nn.Module, x: Direction, y: Direction, norm: str, policy: Mapping[str, str] = HOLD_ALL_BUT_WEIGHTS
) -> Direction:
    """Turns a direction to stand at a right angle on another, and keeps it normalised.

    Taking away the share along x changes the norms of filters, and restoring those turns the direction again,
    so both are repeated until the cosine is 0 to rounding. Only random parameters are changed.
    """
    roles, filters = parameter_roles(model), parameter_filters(model)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    x, y = ({name: tensor.double() for name, tensor in d.items()} for d in (x, y))
    free = {name: tensor for name, tensor in x.items() if policy[roles[name]] == "random"}
    square = inner(free, free)
    if not square:
        raise ValueError("no parameter is random: the directions cannot be made orthogonal")
    for _ in range(_MAX_ROUNDS):
        along, length_of_y = inner(x, y), inner(y, y)
        if length_of_y and abs(along) <= _RIGHT_ANGLE * math.sqrt(inner(x, x) * length_of_y):
            return {name: tensor.to(weights[name].dtype) for name, tensor in y.items()}
        for name, tensor in free.items():
            turned = y[name] - along / square * tensor
            # Norm "weight" and "none" fix no length.
            length = weights[name].double()
            y[name] = rescaled(turned, length, norm, filters[name]) if norm in ("filter", "layer") else turned
    raise CheckpointError(
        f"the directions cannot be made orthogonal: with norm {norm!r} and policy {dict(policy)} too little of them "
        "may turn (what is scaled points the same way in both)"
    )
