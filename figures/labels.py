"""What figures and tables call things: networks, losses, the choices a number rests on."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tetviz.results import Provenance, ScalingCurve, Surface

LOSSES = ("sdt", "tet")


def network_name(provenance: Provenance) -> str:
    """What a network is called: its label, else the name of its checkpoint.

    Args:
        provenance: of a result.

    Returns:
        One line of text.
    """
    return provenance.label or Path(provenance.checkpoint).stem or "unnamed network"


def network_names(results: Sequence[Surface | ScalingCurve]) -> list[str]:
    """What several networks are called, numbered where two have the same name.

    Args:
        results: results of any kind.

    Returns:
        A different name for each.
    """
    names = [network_name(result.provenance) for result in results]
    total, seen = Counter(names), Counter[str]()
    for index, name in enumerate(names):
        seen[name] += 1
        if total[name] > 1:
            names[index] = f"{name} #{seen[name]}"
    return names


def loss_symbol(loss: str) -> str:
    """A loss as the papers write it.

    Args:
        loss: ``"sdt"`` or ``"tet"``.

    Returns:
        Mathematical text of matplotlib.
    """
    return rf"$\mathcal{{L}}_{{\mathrm{{{loss.upper()}}}}}$"


def data_context(result: Surface | ScalingCurve) -> str:
    """The data that a result was measured on.

    Args:
        result: a result.

    Returns:
        Such as ``"cifar10 test, 1,024 samples"``; what is not recorded is left out.
    """
    source = f"{result.provenance.dataset} {result.provenance.split}".strip()
    count = len(result.sample)
    samples = f"{count:,} sample{'s' * (count != 1)}" if count else ""
    return ", ".join(part for part in (source, samples) if part)


def surface_context(surface: Surface) -> str:
    """The choices that a surface rests on, besides its network, loss and number of timesteps.

    Args:
        surface: a surface.

    Returns:
        Data, batch-norm policy, seed of the plane and parameter policy.
    """
    parts = [data_context(surface), f"BN {surface.bn}", f"plane seed {surface.plane_seed}", surface.policy]
    return "; ".join(part for part in parts if part)


def wrap(text: str, width: int) -> str:
    """Text as it is shown: broken into lines, with no accidental mathematics.

    Args:
        text: plain text, such as a name that a user chose.
        width: characters a line.

    Returns:
        Text for matplotlib.
    """
    return "\n".join(textwrap.wrap(text, width) or [""]).replace("$", r"\$")
