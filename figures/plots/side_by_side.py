"""What surfaces drawn side by side share: their losses, numbers of timesteps, levels and choices."""

from collections.abc import Sequence
from dataclasses import dataclass

from tetviz.figures.captions import losses_words
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.contours import loss_values, with_progress
from tetviz.figures.plots.levels import Scale, choose_scale
from tetviz.figures.plots.venues import venue
from tetviz.figures.selection import chosen_timestep, held_losses, require_same_directions
from tetviz.figures.views.surface import surface_context
from tetviz.results import Surface
from tetviz.results.schema import FloatArray
from tetviz.summaries.names import counted, network_names

_IN_A_ROW = 4


@dataclass(frozen=True)
class Compared:
    """What a figure of several surfaces draws: a row for each loss, a column for each network.

    Attributes:
        losses: ``"sdt"``, ``"tet"`` or both.
        steps: number of timesteps of each surface.
        values: (y, x) in nat, by loss and surface.
        scale: of all of them.
        names: of the networks.
        contexts: choices of each surface, and how much of it is measured.
    """

    losses: tuple[str, ...]
    steps: list[int]
    values: list[list[FloatArray]]
    scale: Scale
    names: list[str]
    contexts: list[str]

    @property
    def panels(self) -> list[FloatArray]:
        """All values, row by row."""
        return [panel for row in self.values for panel in row]

    @property
    def shared(self) -> str:
        """The choices, where they are the same for all surfaces; else nothing."""
        return shared_text(self.contexts)


def grid_shape(losses: int, networks: int) -> tuple[int, int]:
    """How the panels of a comparison stand: a row for each loss, but on a slide a few in a single row."""
    return (1, losses * networks) if venue().slide and losses * networks <= _IN_A_ROW else (losses, networks)


def panels_words(losses: Sequence[str], networks: int) -> str:
    """What the panels of a comparison are, as :func:`grid_shape` puts them."""
    rows, columns = grid_shape(len(losses), networks)
    if rows < len(losses):
        words = ", then ".join(f"under {losses_words([loss])}" for loss in losses)
        return f"{counted(networks, 'network')}, {words}, in one row"
    return f"{counted(networks, 'network')}{', a column each' * (columns > 1)}, under {losses_words(losses)}"


def compare(surfaces: Sequence[Surface], timestep: int | None, loss: str | None, plane: int) -> Compared:
    """What to draw of surfaces side by side.

    Args:
        timestep: number of timesteps; None takes each network's training T.
        loss: ``"sdt"`` or ``"tet"`` for that one alone; None takes all that every surface holds.
    """
    require_same_directions(surfaces)
    losses = held_losses(surfaces, loss)
    steps = [chosen_timestep(surface, timestep) for surface in surfaces]
    values = [[loss_values(s, row, t, plane) for s, t in zip(surfaces, steps, strict=True)] for row in losses]
    return Compared(
        losses,
        steps,
        values,
        choose_scale([panel for row in values for panel in row]),
        network_names(surfaces),
        [with_progress(surface, surface_context(surface), plane) for surface in surfaces],
    )
