"""The colours of networks on a dark page: those of print, but lighter where they would not be seen."""

from matplotlib.colors import to_hex, to_rgb

from tetviz.figures.plots.style import series_styles

DARK_PAPER = "#15171a"
CONTRAST = 4.5  # WCAG 2.1 asks 3 of graphics; lines are thin


def contrast(one: str, other: str) -> float:
    """How well a colour is seen on another (WCAG 2.1)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def on_dark(colour: str) -> str:
    """A colour as it is seen on a dark page."""
    found = to_hex(colour)
    for white in range(1, 20):
        if contrast(found, DARK_PAPER) >= CONTRAST:
            break
        red, green, blue = (part + (1 - part) * white / 20 for part in to_rgb(colour))
        found = to_hex((red, green, blue))
    return found


def _luminance(colour: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _palette() -> set[str]:
    names = ["sdt", "tet", *map(str, range(20))]
    return {to_hex(style["color"]) for style in series_styles(names)}


# Only colours of networks: those of maps and tiles mean values.
ON_DARK = {colour: on_dark(colour) for colour in sorted(_palette()) if on_dark(colour) != colour}
