"""The history of a run as arrays, and the one rule by which an epoch is chosen."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wording import refuses

from tetviz.errors import CheckpointError
from tetviz.models import ModelSpec, build
from tetviz.results import Provenance, load, save
from tetviz.training import (
    Checkpoint,
    DataSpec,
    LabelledDataset,
    Stage,
    Switch,
    TrainingConfig,
    fit,
    training_history,
)
from tetviz.training.history import is_better

SPEC = ModelSpec("snn5", num_classes=3, in_channels=1, image_size=16, width=0.05)
STATE = build(SPEC).state_dict()
TRAINING = {"stages": ["2:3", "4:3@0.0005"], "switch": "tet@2"}


class Noise(LabelledDataset):
    """Noise of two kinds and three labels, so that epochs differ and none is perfect."""

    def __init__(self, samples, seed):
        generator = torch.Generator().manual_seed(seed)
        self.spec, self.labels = DataSpec("digits", image_size=16), np.arange(samples) % 3
        self.classes, self.in_channels, self.image_size = ["a", "b", "c"], 1, 16
        self.images = torch.randn(samples, 1, 16, 16, generator=generator)
        self.images[::3] += 1

    def __getitem__(self, index):
        return self.images[index], int(self.labels[index])


def record(epoch, held_out=True, **changes):
    later = epoch > 3
    values = {
        "epoch": epoch,
        "timesteps": 4 if later else 2,
        "loss": "tet" if epoch > 2 else "sdt",
        "lr": 1e-3 / epoch,
        "train_loss": 1.0 / epoch,
    }
    for split in ("val", "test")[not held_out :]:
        values |= {f"{split}_sdt_loss": 2 / epoch, f"{split}_tet_loss": 3 / epoch, f"{split}_accuracy": 1 - 1 / epoch}
    return values | changes


def checkpoint(records, training=TRAINING, **changes):
    return Checkpoint(SPEC, STATE, 2, training=training, history=records, **changes)


def test_every_entry_is_where_it_belongs(tmp_path):
    records = [record(epoch) for epoch in range(1, 7)]
    found = training_history(checkpoint(records), Provenance(label="a"))
    for name in ("epoch", "timesteps", "lr", "train_loss", *(n for n in records[0] if n.startswith(("val", "test")))):
        np.testing.assert_array_equal(getattr(found, name), [each[name] for each in records])
    assert found.trained_on() == [each["loss"] for each in records]
    assert found.stage.tolist() == [0, 0, 0, 1, 1, 1] and list(found.stages) == TRAINING["stages"]
    assert found.ends("stage") == found.ends("timesteps") == [3] and found.ends("loss_index") == [2]
    assert (found.switch, found.best_epoch, found.planned_epochs) == ("tet@2", 6, 6)
    again = load(save(tmp_path / "a.h5", found), type(found))
    assert again.trained_on() == found.trained_on() and again.provenance == found.provenance
    np.testing.assert_array_equal(again.val_accuracy, found.val_accuracy)


def test_what_was_not_held_out_is_nan_and_the_last_epoch_is_chosen():
    found = training_history(checkpoint([record(epoch, held_out=False) for epoch in (1, 2, 3, 4, 5)]))
    for name in ("val_sdt_loss", "val_tet_loss", "val_accuracy"):
        assert np.isnan(getattr(found, name)).all()
    assert np.isfinite(found.test_accuracy).all()
    assert (found.best_epoch, found.planned_epochs) == (5, 6)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_the_chosen_epoch_is_the_first_of_the_best_of_the_last_stage(values):
    records = [
        record(epoch, val_accuracy=accuracy / 4, val_sdt_loss=loss / 2)
        for epoch, (accuracy, loss) in enumerate(values, 1)
    ]
    last_stage = [each for each in records if (each["epoch"] > 3) == (len(records) > 3)]
    best = max(last_stage, key=lambda each: (each["val_accuracy"], -each["val_sdt_loss"], -each["epoch"]))
    assert training_history(checkpoint(records)).best_epoch == best["epoch"]
    assert not is_better(best, best) and is_better(best, {})


def test_a_run_and_its_history_agree_on_the_chosen_epoch(tmp_path):
    train, test = Noise(40, 0), Noise(20, 1)
    config = TrainingConfig(
        dataclasses.replace(SPEC, width=0.125),
        train.spec,
        (Stage(1, 2), Stage(2, 3)),
        loss="sdt",
        switch=Switch("tet", 1),
        batch_size=32,
        lr=5e-3,
        val_fraction=0.2,
    )
    best = fit(config, train, test, best_path=tmp_path / "a.pt", last_path=tmp_path / "a.last.pt")
    last = Checkpoint.load(tmp_path / "a.last.pt")
    whole, cut = training_history(last), training_history(best)
    assert whole.best_epoch == last.resume["best"]["epoch"] == best.epoch == cut.best_epoch == cut.epoch[-1]
    assert whole.trained_on() == ["sdt", "tet", "tet", "tet", "tet"] and whole.ends("stage") == [2]


@pytest.mark.parametrize(
    ("records", "training", "message"),
    [
        ([], TRAINING, "OUTPUT.last.pt"),
        ([record(1), record(3)], TRAINING, "are 1 2"),
        ([record(epoch) for epoch in range(1, 8)], TRAINING, "7 epochs 6"),
        ([{"epoch": 1}], TRAINING, "'loss'"),
        ([record(1, lr="fast")], TRAINING, "could convert"),
        ([record(1, timesteps=2.5)], TRAINING, "timesteps"),
        ([record(1)], {}, "'stages'"),
        ([record(1)], {"stages": []}, "IndexError"),
        ([record(1)], {"stages": [3]}, "AttributeError"),
    ],
)
def test_a_history_that_no_training_writes_is_refused(records, training, message):
    with refuses(CheckpointError, message) as caught:
        training_history(checkpoint(records, training), Provenance(checkpoint="runs/x.pt"))
    assert str(caught.value).startswith("runs/x.pt: ") and "\n" not in str(caught.value)
