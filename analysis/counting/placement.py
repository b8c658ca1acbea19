"""Which step and sample the elements of every call belong to, learned from short runs of single samples.

A call of an operation is one of some step, or holds all steps. In the flattened tensor of one that holds all steps,
step t is at (element // stride) % T: whatever the order of its axes and however they are merged, one stride tells the
step, another the sample. Both are found by comparing what passes in a run of T steps with what passes in shorter ones,
and in a run of two samples with what passes in runs of one. What no such rule describes is told by none of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Site = tuple[str, str]  # a layer, and an operation in it
_LARGE = 16  # an axis of an image; one of as many steps is kept
_ALIKE = 0.9  # of the elements; a spike may flip where another kernel rounds another way


@dataclass(frozen=True)
class Place:
    """Where steps and samples lie in a call.

    Attributes:
        step: the step that all of it belongs to, from 0; None where it holds all steps.
        time: stride of the steps among the elements of one sample.
        sample: stride of the samples among the elements of several; 0 where it is the same for all of them.
    """

    step: int | None
    time: int = 0
    sample: int = 0

    def stride(self, samples: int) -> int:
        """Stride of the steps among the elements of some samples."""
        return self.time * samples if self.sample and self.time >= self.sample else self.time

    def fits(self, elements: int, steps: int, samples: int) -> bool:
        """Whether a call of so many elements can be laid out like this."""
        if self.step is not None:
            return True
        return elements % (self.stride(samples) * steps) == 0

    def sums(self, parts: Tensor, elements: int, steps: int, samples: int) -> Tensor | None:
        """Sums of counts for each step.

        Args:
            parts: counts, each of as many neighbouring elements.
            elements: of the call.

        Returns:
            Whole numbers (steps,), float64; None where a part holds elements of several steps.
        """
        stride, rest = divmod(self.stride(samples) * parts.numel(), max(elements, 1))
        if rest or not stride:
            return None if elements else torch.zeros(steps, dtype=torch.float64)
        return whole_sums(parts.reshape(-1, steps, stride)).sum(0, dtype=torch.float64).cpu()

    def arrange(self, x: Tensor, steps: int, samples: int) -> Tensor:
        """A call as steps x samples x all else; of a call of one step, 1 x samples x all else."""
        axes = [] if self.step is not None else [(self.stride(samples), steps)]
        axes += [(self.sample, samples)] if self.sample else []
        shape, rest = list[int](), x.numel()
        for stride, size in sorted(axes, reverse=True):
            shape += [rest // (stride * size), size]
            rest = stride
        grid = x.reshape(*shape, rest)
        order = [2 * sorted(axes, reverse=True).index(axis) + 1 for axis in axes]
        grid = grid.permute(*order, *(axis for axis in range(grid.dim()) if axis not in order))
        return grid.reshape(steps if self.step is None else 1, samples if self.sample else 1, -1)


@dataclass(frozen=True)
class Glimpse:
    """What one call shows in a run that is only looked at.

    Attributes:
        shape: of what passes, without the axes of an image.
        values: means of what passes over these axes, flat.
        counts: likewise what each element counts; empty where it is the same for all.
        grain: number of elements that each is a mean of.
    """

    shape: tuple[int, ...]
    values: Tensor
    counts: Tensor
    grain: int = 1

    @classmethod
    def of(cls, passing: Tensor, counts: Tensor | None, steps: int) -> "Glimpse":
        """What a call shows.

        Args:
            counts: what each element counts, if that is told.
            steps: of the run.
        """
        shape, grain = list(passing.shape), 1
        while len(shape) > 2 and shape[-1] >= _LARGE and shape[-1] != steps:
            grain *= shape.pop()
        told = counts if counts is not None and counts.numel() == passing.numel() else passing[:0]
        return cls(tuple(shape), _means(passing, grain), _means(told, grain), grain)


Run = Mapping[Site, Sequence[Glimpse]]


@dataclass(frozen=True)
class Glimpses:
    """Runs of one sample of the first 1 and 2 steps, and of two samples of all steps, alone and together.

    Attributes:
        steps: T.
        alone: runs of T steps, of one sample each.
        together: the run of both; None where there is one sample.
        shorter: number of steps to the run of the first sample; empty for a network that runs for one T only.
    """

    steps: int
    alone: Sequence[Run]
    together: Run | None
    shorter: Mapping[int, Run]

    def places(self) -> tuple[dict[Site, tuple[Place, ...]], set[Site]]:
        """The places of the calls of every operation; one that no rule describes is left out.

        Returns:
            The places, and the operations of which these samples could not tell all: silent neurons look alike.
        """
        times = {site: self._times(site) for site in self.alone[0]}
        known = {site: self._samples(site, found[0]) for site, found in times.items() if found is not None}
        told = [place for places, sure in known.values() if sure for place in places or () if place.step is None]
        outside = sum(place.sample > place.time for place in told) > len(told) / 2
        found = {
            site: places if sure or not outside else tuple(self._batch_major(site, places))
            for site, (places, sure) in known.items()
            if places is not None
        }
        found = {site: tuple(map(self._in_elements, places, self.alone[0][site])) for site, places in found.items()}
        unsure = {site for site, time in times.items() if site in found and time is not None and not time[1]}
        return found, unsure | {site for site in found if not known[site][1]}

    def _in_elements(self, place: Place, call: Glimpse) -> Place:
        return Place(place.step, place.time * call.grain, place.sample * call.grain)

    def _times(self, site: Site) -> tuple[tuple[Place, ...], bool] | None:
        calls = self.alone[0][site]
        if self.steps == 1:
            return tuple(Place(0) for _ in calls), True
        if not self.shorter:
            return _assumed(calls, self.steps), True
        shorter = {t: run.get(site, ()) for t, run in self.shorter.items()}
        if any(len(each) != len(calls) for each in shorter.values()):
            places = _step_by_step(calls, shorter, self.steps)
            return None if places is None else (places, True)
        found = [_whole(call, {t: each[k] for t, each in shorter.items()}, self.steps) for k, call in enumerate(calls)]
        if any(each is None for each in found):
            return None
        return tuple(each[0] for each in found if each), all(each[1] for each in found if each)

    def _samples(self, site: Site, places: tuple[Place, ...]) -> tuple[tuple[Place, ...] | None, bool]:
        alone = [run.get(site, ()) for run in self.alone]
        together = None if self.together is None else self.together.get(site, ())
        if together is None or not len(together) == len(alone[0]) == len(alone[1]) == len(places):
            default = [_leading(place, call) for place, call in zip(places, alone[0], strict=True)]
            return (tuple(default), False) if together is None else (None, False)
        found, sure = list[Place](), True
        for place, both, *each in zip(places, together, *alone, strict=True):
            laid, told = _with_samples(place, both, each, self.steps)
            if laid is None:
                return None, False
            found.append(laid)
            sure &= told
        return tuple(found), sure

    def _batch_major(self, site: Site, places: Sequence[Place]) -> list[Place]:
        calls = self.alone[0][site]
        return [
            Place(place.step, place.time, call.values.numel()) if place.sample and place.step is None else place
            for place, call in zip(places, calls, strict=True)
        ]


def _means(values: Tensor, grain: int) -> Tensor:
    parts = values.detach().reshape(-1, grain)
    return (parts.mean(1, dtype=torch.float32) if grain > 1 else parts[:, 0].to(torch.float32, copy=True)).cpu()


def _whole(call: Glimpse, shorter: Mapping[int, Glimpse], steps: int) -> tuple[Place, bool] | None:
    size = {t: each.values.numel() for t, each in shorter.items()}
    elements = call.values.numel()
    if all(each == elements for each in size.values()):
        return Place(0), True  # whatever T is, it runs once
    if any(each * steps != elements * t for t, each in size.items()):
        return None
    fits = {each: _agreement(call, shorter, steps, each) for each in _strides(shorter[1].shape, call.shape, steps)}
    best = max(fits.values(), default=0.0)
    alike = [stride for stride, agreement in fits.items() if agreement == best]
    return (Place(None, max(alike)), len(alike) == 1) if best >= _ALIKE else None


def _strides(small: tuple[int, ...], large: tuple[int, ...], times: int) -> list[int]:
    # Where an axis that is as many times as long may have been inserted or merged.
    if len(small) == len(large):
        grown = [axis for axis, (a, b) in enumerate(zip(small, large, strict=True)) if a != b]
        if len(grown) == 1 and large[grown[0]] == times * small[grown[0]]:
            inner = torch.Size(small[grown[0] + 1 :]).numel()
            return [inner * each for each in _divisors(small[grown[0]])]
    return _divisors(torch.Size(small).numel())


def _agreement(call: Glimpse, shorter: Mapping[int, Glimpse], steps: int, stride: int) -> float:
    first = [
        _alike(_beginning(part, steps, stride, t), of_short)
        for t, short in sorted(shorter.items())
        for part, of_short in ((call.values, short.values), (call.counts, short.counts))
        if part.numel() == call.values.numel()
    ]
    return min(first)


def _beginning(values: Tensor, steps: int, stride: int, t: int) -> Tensor:
    return values.reshape(-1, steps, stride)[:, :t].reshape(-1)


def _step_by_step(
    calls: Sequence[Glimpse], shorter: Mapping[int, Sequence[Glimpse]], steps: int
) -> tuple[Place, ...] | None:
    number = {t: len(each) for t, each in shorter.items()} | {steps: len(calls)}
    each = number[2] - number[1]
    if each <= 0 or number[steps] != number[2] + (steps - 2) * each:
        return None
    orders = [[0] * number[1] + [1 + k // each for k in range(len(calls) - number[1])]]
    if each == number[1] > 1:
        orders.append([k % steps for k in range(len(calls))])
    for order in orders:
        if all(_same_calls([c for c, t in zip(calls, order, strict=True) if t < n], s) for n, s in shorter.items()):
            return tuple(Place(t) for t in order)
    return None


def _same_calls(calls: Sequence[Glimpse], shorter: Sequence[Glimpse]) -> bool:
    if [call.values.numel() for call in calls] != [call.values.numel() for call in shorter]:
        return False
    if not calls:
        return True
    return _alike(torch.cat([c.values for c in calls]), torch.cat([c.values for c in shorter])) >= _ALIKE


def _assumed(calls: Sequence[Glimpse], steps: int) -> tuple[Place, ...]:
    # Of a network that runs for one T alone: by the shapes of a sample.
    leading = [bool(call.shape) and call.shape[0] % steps == 0 for call in calls]
    if not any(leading) and len(calls) % steps in (0, steps - 1) and len(calls) >= steps - 1 > 0:
        missing = steps - 1 if len(calls) % steps else 0
        each = max(1, len(calls) // steps)
        return tuple(Place((k + (1 if missing else 0)) // each) for k in range(len(calls)))
    return tuple(_by_shape(call, steps) for call in calls)


def _by_shape(call: Glimpse, steps: int) -> Place:
    if call.shape and call.shape[0] % steps == 0:
        return Place(None, call.values.numel() // steps)
    for axis, size in enumerate(call.shape):
        if size == steps:
            return Place(None, max(1, int(torch.Size(call.shape[axis + 1 :]).numel())))
    return Place(0)


def _leading(place: Place, call: Glimpse) -> Place:
    elements = call.values.numel()
    return Place(place.step, place.time, place.time if place.step is None else elements)


def _with_samples(place: Place, together: Glimpse, alone: Sequence[Glimpse], steps: int) -> tuple[Place | None, bool]:
    elements = alone[0].values.numel()
    if together.values.numel() == elements:
        return place, True
    if together.values.numel() != 2 * elements or alone[1].values.numel() != elements:
        return None, False
    if not elements:
        return place, False
    expected = torch.cat([each.values for each in alone])
    fits = {
        stride: _alike(_of_sample(together.values, stride), expected)
        for stride in _strides(alone[0].shape, together.shape, 2)
        if place.step is not None or place.time % stride == 0 or stride % (place.time * steps) == 0
    }
    best = max(fits.values(), default=0.0)
    alike = [stride for stride, agreement in fits.items() if agreement == best]
    default = _leading(place, alone[0]).sample
    stride = default if default in alike else max(alike, default=0)
    return (Place(place.step, place.time, stride), len(alike) == 1) if best >= _ALIKE else (None, False)


def _of_sample(values: Tensor, stride: int) -> Tensor:
    grid = values.reshape(-1, 2, stride)
    return torch.cat([grid[:, 0].reshape(-1), grid[:, 1].reshape(-1)])


def _alike(a: Tensor, b: Tensor) -> float:
    if a.numel() != b.numel():
        return 0.0
    if not a.numel():
        return 1.0
    return float(torch.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True).double().mean())


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


@dataclass
class KnownPlaces:
    """The places of each operation in a run of some length, as far as they are learned.

    Attributes:
        places: of the calls of each operation.
        unsure: operations whose places another look may tell; None before the first.
        looks: that were taken.
    """

    places: dict[Site, tuple[Place, ...]] = field(default_factory=dict)
    unsure: set[Site] | None = None
    looks: int = 0


def whole_sums(counts: Tensor) -> Tensor:
    """Sums of whole numbers, none of them negative, over the last axis, exact up to 2^53."""
    if counts.dtype == torch.float32:
        sums = counts.sum(-1)
        if bool(
            (sums < 2**24).all()
        ):  # so were all sums on the way, and float32 adds whole numbers exactly up to there
            return sums
    return counts.sum(-1, dtype=torch.float64)
