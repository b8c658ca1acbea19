"""A checkpoint with its data: what is opened, what is refused, and what a request depends on."""

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from wording import refuses

from tetviz.commands.session import Session, open_session, pick_device
from tetviz.errors import CheckpointError, DataError, TetvizError
from tetviz.models import ModelSpec, build
from tetviz.training import Checkpoint, file_sha256, load_data


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = load_data("digits", split="test")
    spec = ModelSpec("snn5", 10, data.in_channels, data.image_size, 0.0625)
    settings: dict[str, Any] = {"training": {"loss": "sdt"}, "data": data.spec.to_dict()}
    return Checkpoint(spec, build(spec).state_dict(), 4, **settings).save(tmp_path_factory.mktemp("runs") / "net.pt")


def opened(path: Path, **settings: Any) -> Session:
    with click.Context(click.Command("scale")):
        return open_session(path, **{"samples": 20, "batch_size": 8, "device": "cpu"} | settings)


def test_a_session_is_what_was_asked_for(path: Path) -> None:
    session = opened(path, calibration=30, seed=3, precision="float64")
    assert np.bincount(session.dataset.labels[session.indices]).tolist() == [2] * 10
    assert session.calibration is not None and session.calibration_indices is not None
    assert np.bincount(session.calibration.labels[session.calibration_indices]).tolist() == [3] * 10
    assert {str(each.dtype) for each in session.model.parameters()} == {"torch.float64"}
    origin = session.provenance
    assert (origin.checkpoint_sha256, origin.label) == (file_sha256(path), "net")
    assert (origin.dataset, origin.split, origin.seed, origin.batch_size) == ("digits", "test", "3", "8")
    assert origin.network["name"] == "snn5" and origin.neurons["neuron"] == "lif" and session.trained_on() == "sdt"


def test_a_request_changes_with_all_that_decides_what_is_measured(path: Path) -> None:
    session = opened(path)
    request = session.request({"tmax": 4})
    assert request == opened(path).request({"tmax": 4})
    others = [{"samples": 10}, {"batch_size": 4}, {"seed": 1}, {"split": "train"}, {"precision": "float64"}]
    requests = [request, session.request({"tmax": 5}), *(opened(path, **each).request({"tmax": 4}) for each in others)]
    moved = dataclasses.replace(session, indices=session.indices[::-1])
    assert len({*requests, moved.request({"tmax": 4})}) == len(requests) + 1


def test_the_loss_trained_on_is_that_of_the_last_epoch(path: Path) -> None:
    session = opened(path)
    for history, training, loss in (([{"loss": "sdt"}, {"loss": "tet"}], {"loss": "sdt"}, "tet"), ([], {}, None)):
        checkpoint = dataclasses.replace(session.checkpoint, history=history, training=training)
        assert dataclasses.replace(session, checkpoint=checkpoint).trained_on() == loss


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with refuses(TetvizError, f"--device {name}"):
        pick_device(name)
    assert pick_device("cpu").type == "cpu" and pick_device("auto").type in ("cpu", "cuda")


def test_what_does_not_fit_is_refused(path: Path, tmp_path: Path) -> None:
    with refuses(DataError, "--frames digits"):
        opened(path, frames=3)
    bare = dataclasses.replace(Checkpoint.load(path), data={})
    with refuses(CheckpointError, "bare.pt --data"):
        opened(bare.save(tmp_path / "bare.pt"))
    spec = ModelSpec("snn5", 9, 1, 16, 0.0625)
    with refuses(DataError, "9 10 --data"):
        opened(Checkpoint(spec, build(spec).state_dict(), 4).save(tmp_path / "nine.pt"), data="digits")
    spec = ModelSpec("snn5", 10, 3, 16, 0.0625)
    with refuses(DataError, "3 1 --data"):
        opened(Checkpoint(spec, build(spec).state_dict(), 4).save(tmp_path / "colour.pt"), data="digits")


def test_a_checkpoint_from_before_normalisations_were_recorded_says_what_it_said(path: Path) -> None:
    """So that a surface which that version began goes on."""
    now = Checkpoint.load(path)
    then = {name: value for name, value in now.data.items() if name != "normalise"}
    older = dataclasses.replace(now, data=then).save(path.with_name("older.pt"))
    assert opened(older).provenance.data_settings == then | {"frames": 0}
    assert opened(path).provenance.data_settings == now.data | {"frames": 0}
