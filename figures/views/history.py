"""What training histories show: losses and accuracy after every epoch, with the switch of the loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tetviz.figures.curves import ACCURACY, Axis, Curves, Mark, Series, position, scale_of
from tetviz.figures.doubts import losses_of, not_finite
from tetviz.figures.formatting import number
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, FigureOf, TableOf, View, require_same_data
from tetviz.results import TrainingHistory
from tetviz.summaries.names import LOSSES, counted, network_names

_WIDE = 8.0  # what a switch changes shows late, where losses are small: over a wider range an axis is logarithmic


def history_context(history: TrainingHistory) -> str:
    """The data that a training run was followed on, such as ``"cifar10 test split"``."""
    return f"{history.provenance.dataset} test split".strip()


def history_charts(histories: Sequence[TrainingHistory], losses: Sequence[str] = LOSSES) -> list[Curves]:
    """Losses and accuracy on the test split against the epoch: Figure 3 of the TET paper."""
    return [_chart(histories, what) for what in (*losses, "accuracy")]


def _chart(histories: Sequence[TrainingHistory], what: str) -> Curves:
    is_loss = what != "accuracy"
    word, unit, factor, form = (f"L_{what.upper()}", "nat", 1, ".4f") if is_loss else (what, "%", 100, ".2%")
    names = network_names(histories)
    series: list[Series] = []
    marks: list[Mark] = []
    for network, run in enumerate(histories):
        values = getattr(run, f"test_{what}_loss" if is_loss else "test_accuracy")
        texts = tuple(
            f"epoch {epoch}, T = {steps}, trained on {loss}\n{word} {number(value, form)}"
            for epoch, steps, loss, value in zip(run.epoch, run.timesteps, run.trained_on(), values, strict=True)
        )
        trained = np.where(np.array(run.trained_on()) == what, run.train_loss, np.nan)
        if np.isfinite(trained).any():
            series.append(Series(network, run.epoch, trained, thin=True))
        ringed = position(run.epoch, run.best_epoch)
        series.append(Series(network, run.epoch, factor * values, texts=texts, ringed=ringed))
        marks += [Mark(end + 0.5, network, True, _switch(run, end)) for end in run.ends("loss_index")]
        marks += [Mark(end + 0.5, network) for end in run.ends("stage")]
    return Curves(
        f"Test {word} over training",
        f"Test {word} of {', '.join(names)} after every epoch; a dashed line is a switch of the loss, a dotted one a "
        "new stage.",
        tuple(names),
        Axis("epoch", "whole"),
        Axis(f"{word} ({unit})", *scale_of([each.y for each in series], wide=_WIDE)) if is_loss else ACCURACY,
        tuple(series),
        ring="chosen epoch" if any(each.ringed for each in series) else "",
        thin="training loss, of the loss trained on" if any(each.thin for each in series) else "",
        dashed="switch of the loss" if any(mark.dashed for mark in marks) else "",
        dotted="new stage" if any(not mark.dashed for mark in marks) else "",
        marks=tuple(marks),
        methods=tuple(" ".join(run.trained_on()) for run in histories),
    )


def _switch(run: TrainingHistory, end: int) -> str:
    (at,) = position(run.epoch, end)
    return " \N{RIGHTWARDS ARROW} ".join(run.trained_on()[at : at + 2]).upper()


def history_table(histories: Sequence[TrainingHistory], choices: Choices) -> Table:
    """Training runs after their first, last and chosen epoch, and around a change."""
    return stacked(network_names(histories), [_epochs(run) for run in histories])


def _epochs(run: TrainingHistory) -> Table:
    frame = run.to_frame().drop(columns=["loss_index", "stage"])
    names = list(map(str, frame.columns))
    shares, losses = ([name for name in names if name.endswith(end)] for end in ("accuracy", "_loss"))
    frame[shares] *= 100
    heads = {**{name: f"{name} (%)" for name in shares}, **{name: f"{name} (nat)" for name in losses}}
    frame = frame.rename(columns={**heads, "timesteps": "T", "loss": "trained on"})
    frame.insert(0, "chosen", run.epoch == run.best_epoch)
    changes = [*run.ends("stage"), *run.ends("loss_index")]
    shown = {1, *changes, *(epoch + 1 for epoch in changes), run.best_epoch, int(run.epoch[-1])}
    left = run.planned_epochs - len(run.epoch)
    return Table(
        frame,
        (
            Column("T"),
            Column("trained on", named={loss: f"L_{loss.upper()}" for loss in run.losses}),
            Column("training loss (nat)", of="train_loss (nat)", form=".4f"),
            Column("held out (%)", of="val_accuracy (%)"),
            Column("test (%)", of="test_accuracy (%)"),
            Column("L_SDT (nat)", of="test_sdt_loss (nat)", form=".4f"),
            Column("L_TET (nat)", of="test_tet_loss (nat)", form=".4f"),
        ),
        about="Training by epoch: the loss trained on, accuracy on held-out samples and on the test split, and both "
        "losses on the test split, which chooses nothing",
        feet=(f"{len(run.epoch)} of {counted(run.planned_epochs, 'epoch')}",) if left > 0 else (),
        rows=np.flatnonzero(np.isin(run.epoch, list(shown))).tolist(),  # an epoch 0 stands for none
        key=Column("epoch", marked="chosen"),
        label="history",
    )


def record(histories: Sequence[TrainingHistory], choices: Choices) -> list[dict[str, Any]]:
    """Origin, plan, and every number of every epoch."""
    return [_record(run) for run in histories]


def _record(run: TrainingHistory) -> dict[str, Any]:
    head = {
        "checkpoint": run.provenance.checkpoint,
        "best_epoch": run.best_epoch,
        "planned_epochs": run.planned_epochs,
        "stages": list(run.stages),
        "switch": run.switch,
        "loss": run.trained_on(),
    }
    columns = run.to_frame().drop(columns=["loss", "loss_index"]).reset_index()
    return {**head, **{str(name): column.tolist() for name, column in columns.items()}}


def _describe(run: TrainingHistory) -> str:
    planned = f", {run.planned_epochs:,} were planned" if run.planned_epochs > len(run.epoch) else ""
    return f"Training history, {counted(len(run.epoch), 'epoch')}{planned}"


def _doubts(run: TrainingHistory) -> list[str]:
    said = not_finite(losses_of(run, "test_"), "in", "epoch", " on the test split")
    said += not_finite({"the training loss": run.train_loss}, "in", "epoch")
    if not np.isnan(run.val_sdt_loss).all():  # else nothing was held out
        said += not_finite(losses_of(run, "val_"), "in", "epoch", " on held-out samples")
    return said


VIEW = View[TrainingHistory](
    title="Over training",
    takes="files of tetviz history",
    describe=_describe,
    context=history_context,
    doubts=_doubts,
    tables={"history-table": TableOf("losses and accuracy by epoch", history_table)},
    record=record,
    figure="tetviz.figures.plots.history:draw_history",
    figures={
        "fig3": FigureOf(
            "Figure 3: both losses and accuracy over training, with the switch of the loss",
            "tetviz.figures.plots.history:draw_history",
        )
    },
    heeds=("loss",),
    curves=lambda histories, choices: history_charts(histories),
    together=require_same_data,
)
