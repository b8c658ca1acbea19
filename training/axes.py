"""The axes of samples: however data have them, networks are measured on C x H x W, with T before it for a sequence.

Axes that a sample does not have are 1 long and come last: F features are F x 1 x 1, a sequence of vectors T x F is
T x F x 1 x 1. A network gets them as many as its samples have, see ``sample_axes`` of :class:`tetviz.models.Calling`.
"""

import re

from torch import Tensor

from tetviz.models.layers import SAMPLE_AXES, filled

DEFAULT = {1: "F", 2: "TF", 3: "CHW", 4: "TCHW"}


def check_axes(axes: str) -> None:
    """Checks names of axes, a letter each, of which T is time.

    Raises:
        ValueError: they are of another form, or there are too many.
    """
    others = axes.replace("T", "", 1)
    if not re.fullmatch("[A-Z]{1,4}", axes) or len(set(axes)) < len(axes) or len(others) > SAMPLE_AXES:
        raise ValueError(
            f"expected the axes of a sample as letters, T for time and at most {SAMPLE_AXES} others, such as TF, TCL "
            f"or CHWT; got {axes!r}"
        )


def default_axes(count: int) -> str:
    """What the axes of a sample are taken for where nobody says.

    Raises:
        ValueError: no sample has so many.
    """
    if count not in DEFAULT:
        raise ValueError(f"has {count} axes, expected 1 to 4: F, T x F, C x H x W or T x C x H x W")
    return DEFAULT[count]


def time_first(x: Tensor, axes: str) -> Tensor:
    """A sample as C x H x W or T x C x H x W.

    Raises:
        ValueError: it has another number of axes.
    """
    axes = axes or default_axes(x.dim())
    if x.dim() != len(axes):
        raise ValueError(f"has {x.dim()} axes {tuple(x.shape)}, --axes {axes} says {len(axes)}")
    return filled(x.movedim(axes.index("T"), 0) if "T" in axes else x, len(axes.replace("T", "")))


def batch_time_first(x: Tensor, axes: str) -> Tensor:
    """A batch as x_BCHW or x_TBCHW.

    It is T x B x ... where time comes first in a sample; else B comes before a sample's axes.

    Raises:
        ValueError: it has another number of axes.
    """
    axes = axes or default_axes(x.dim() - 1)
    if x.dim() != len(axes) + 1:
        raise ValueError(f"has {x.dim()} axes {tuple(x.shape)}, of samples of --axes {axes}")
    return filled(x.movedim(axes.index("T") + 1, 0) if axes.find("T") > 0 else x, len(axes.replace("T", "")))
