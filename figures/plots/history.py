"""Losses and accuracy over a training run, with the switch of its loss: Figure 3 of the TET paper."""

from collections.abc import Sequence
from itertools import groupby

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, losses_words
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.curves import draw_charts
from tetviz.figures.plots.picture import Picture
from tetviz.figures.selection import known_loss
from tetviz.figures.views.history import history_charts, history_context
from tetviz.results import TrainingHistory
from tetviz.summaries.names import LOSSES, network_names


def draw_history(histories: Sequence[TrainingHistory], loss: str | None = None) -> Picture:
    """Both losses and the accuracy on the test split against the epoch: Figure 3 of the TET paper.

    A thin line is the training loss, drawn on the panel of the loss that was trained on. Vertical lines mark where
    the loss was switched, and from which to which, and where a stage of another T began, a ring the epoch that was
    chosen. Runs have the colour of the loss that they were trained on; a run that switched has another.

    Args:
        histories: one for each run.
        loss: ``"sdt"`` or ``"tet"`` for a panel of that loss alone; None takes both.

    Returns:
        The figure, with a panel for each loss and one for the accuracy.

    Raises:
        ResultError: there is no history, or no such loss.
    """
    if not histories:
        raise ResultError("no training history to draw")
    losses = LOSSES if loss is None else (known_loss(loss),)
    charts = history_charts(histories, losses)
    shared, courses = _courses(histories)
    figure = draw_charts(charts, courses, shared, height=2.5)
    rings, thin, dashed, dotted = (
        any(getattr(chart, name) for chart in charts) for name in ("ring", "thin", "dashed", "dotted")
    )
    figure.caption = compose_caption(
        f"{losses_words(losses)} (nat) and accuracy against the epoch of training",
        histories,
        [f"{history_context(history)}, which chooses nothing" for history in histories],
        *courses,
        "Thin lines are the training loss, on the panel of the loss that was trained on" if thin else "",
        "Rings mark the epoch that was chosen" if rings else "",
        "Dashed vertical lines mark the switch of the loss" if dashed else "",
        "Dotted vertical lines mark a new stage" if dotted else "",
    )
    return figure


def _courses(histories: Sequence[TrainingHistory]) -> tuple[str, list[str]]:
    # What all runs were followed on, and how each went.
    data = list(map(history_context, histories))
    shared = shared_text(data)
    courses = []
    for history, name, source in zip(histories, network_names(histories), data, strict=True):
        losses = _course([loss.upper() for loss in history.trained_on()])
        steps = _course([f"T = {steps}" for steps in history.timesteps])
        left = history.planned_epochs - len(history.epoch)
        unfinished = f"{left} of {history.planned_epochs} epochs not in it" if left > 0 else ""
        parts = [losses, steps, unfinished, "" if shared else source]
        courses.append(f"{name}: {'; '.join(part for part in parts if part)}")
    return shared, courses


def _course(values: Sequence[str]) -> str:
    # Such as "SDT, from epoch 201 TET".
    epoch, parts = 1, []
    for value, run in groupby(values):
        parts.append(value if epoch == 1 else f"from epoch {epoch} {value}")
        epoch += len(list(run))
    return ", ".join(parts)
