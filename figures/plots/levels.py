"""One scale of levels and colours for all the maps of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator, NullLocator

from tetviz.figures.plots.style import COLORMAP
from tetviz.figures.plots.venues import text_lines
from tetviz.results.schema import FloatArray

LOG_SPAN = 20.0
# Levels in each decade, by the number of decades: about a dozen bands at most.
_DIGITS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (2.2, (1, 1.5, 2, 3, 5, 7)),
    (3.2, (1, 2, 3, 5)),
    (4.5, (1, 2, 5)),
    (7, (1, 3)),
    (np.inf, (1,)),
)


@dataclass(frozen=True)
class Scale:
    """Levels and colours that several maps share."""

    levels: FloatArray
    norm: Normalize

    @property
    def is_log(self) -> bool:
        """Whether the levels are evenly spaced in the logarithm."""
        return isinstance(self.norm, LogNorm)

    @property
    def colormap(self) -> Colormap:
        """The colour map."""
        return matplotlib.colormaps[COLORMAP]

    def ink(self, level: float) -> str:
        """What can be read on a level's colour."""
        red, green, blue, _ = self.colormap(float(self.norm(level)))
        return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.42 else "black"


def choose_scale(values: Sequence[FloatArray]) -> Scale:
    """Levels at round numbers for all maps of a figure, spaced by logarithm where the losses span over 20 x.

    Args:
        values: the maps; NaN is passed over.
    """
    low = min(float(np.nanmin(v)) for v in values)
    high = max(float(np.nanmax(v)) for v in values)
    if low <= 0 or high / low <= LOG_SPAN:
        size = max(abs(low), abs(high))
        if high - low <= 1e-6 * size:  # a flat map, whose rounding noise is no landscape
            low, high = low - 0.05 * (size or 1), high + 0.05 * (size or 1)
        levels = np.asarray(MaxNLocator(nbins=11, min_n_ticks=4).tick_values(low, high))
        return Scale(levels, Normalize(levels[0], levels[-1]))
    decades = np.log10(high / low)
    digits = next(digits for limit, digits in _DIGITS if decades < limit)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    # Through decimal text, because 10.0**-2 * 5 is not the number 0.05.
    levels = np.array([float(f"{digit}e{power}") for power in powers for digit in digits])
    levels = levels[np.flatnonzero(levels <= low)[-1] : np.flatnonzero(levels >= high)[0] + 1]
    return Scale(levels, LogNorm(levels[0], levels[-1]))


def label_colorbar(bar: Colorbar, scale: Scale, text: str, height: float = np.inf) -> None:
    """Ticks at the levels, and a label that says how they are spaced."""
    last, labels = -np.inf, []
    for level, place in zip(scale.levels, np.asarray(scale.norm(scale.levels)), strict=True):
        room = place - last >= text_lines(1) / height
        labels.append(f"{level:g}" if room else "")
        last = place if room else last
    bar.set_ticks(list(scale.levels), labels=labels)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_label(f"{text}, log levels" if scale.is_log else text)


def colors_of(scale: Scale) -> ScalarMappable:
    """The colours of a scale."""
    return ScalarMappable(scale.norm, scale.colormap)
