"""Slow, obvious re-implementations of the data side, to test it against."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt


def frame_counts(events: npt.NDArray[Any], sensor: Sequence[int], frames: int, framing: str) -> npt.NDArray[Any]:
    """Counts of events, one event after the other, in exact fractions."""
    height, width = sensor
    counts = np.zeros((frames, 2, height, width))
    ordered = sorted(events.tolist(), key=lambda event: event[2])
    if not ordered:
        return counts
    first, last = ordered[0][2], ordered[-1][2]
    for position, (x, y, t, p) in enumerate(ordered):
        if framing == "count":
            frame = position * frames // len(ordered)
        elif last == first:
            frame = 0
        else:
            frame = int(Fraction(t - first) * frames / Fraction(last - first))
            frame = min(frame, frames - 1)
        counts[frame, 1 if p == 1 else 0, y, x] += 1
    return counts


def resize_plane(plane: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Antialiased bilinear interpolation of one plane: a triangle as wide as the larger of the two pixels."""

    def weights(old: int, new: int) -> npt.NDArray[Any]:
        scale = old / new
        support = max(scale, 1.0)
        matrix = np.zeros((new, old))
        for i in range(new):
            for j in range(old):
                matrix[i, j] = max(0.0, 1 - abs((j + 0.5) - (i + 0.5) * scale) / support)
        rows: npt.NDArray[Any] = matrix / matrix.sum(1, keepdims=True)
        return rows

    resized: npt.NDArray[Any] = (
        weights(plane.shape[0], size[0]) @ plane.astype(float) @ weights(plane.shape[1], size[1]).T
    )
    return resized


def balanced(labels: Sequence[int], count: int) -> list[int]:
    """Round robin over the classes, sample by sample."""
    if not count or count >= len(labels):
        return list(range(len(labels)))
    waiting = {label: [i for i, other in enumerate(labels) if other == label] for label in sorted(set(labels))}
    chosen: list[int] = []
    while len(chosen) < count:
        for queue in waiting.values():
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def shifted(plane: npt.NDArray[Any], down: int, right: int, wrap: bool) -> npt.NDArray[Any]:
    """A plane moved pixel by pixel; what is new is zero, or what left on the other side."""
    height, width = plane.shape
    moved = np.zeros_like(plane)
    for row in range(height):
        for column in range(width):
            y, x = row - down, column - right
            if wrap:
                y, x = y % height, x % width
            if 0 <= y < height and 0 <= x < width:
                moved[row, column] = plane[y, x]
    return moved
