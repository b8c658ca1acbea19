"""Training: it learns, it records, it resumes to the same bits, and it stops when the loss is not finite."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from striped import CONFIG, SPEC, TEST, TRAIN, StopAfter, Stripes
from wording import refuses

from tetviz.errors import DataError, TrainingError
from tetviz.training import Checkpoint, Stage, Switch, fit, measure
from tetviz.training.data.sources import Sources
from tetviz.training.fingerprint import Fingerprint, reads_vary
from tetviz.training.monitor import Monitor, TensorBoardMonitor


def run(folder, config=CONFIG, **options):
    return fit(config, TRAIN, TEST, best_path=folder / "best.pt", last_path=folder / "last.pt", **options)


def assert_same(a, b):
    assert a.history == b.history
    assert (a.epoch, a.timesteps, a.training) == (b.epoch, b.timesteps, b.training)
    assert all(torch.equal(t, b.state[n]) for n, t in a.state.items())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return run(folder), Checkpoint.load(folder / "last.pt")


def test_it_learns_and_records_both_losses_whatever_it_trains_on(uninterrupted):
    best, last = uninterrupted
    assert last.history[-1]["test_accuracy"] > 0.8
    assert [r["epoch"] for r in last.history] == [1, 2, 3, 4, 5]
    assert [r["timesteps"] for r in last.history] == [2, 2, 2, 3, 3]
    for record in last.history:
        assert record["test_sdt_loss"] <= record["test_tet_loss"] + 1e-12
        assert 0 <= record["val_accuracy"] <= 1
    assert best.timesteps == last.timesteps == 3


def test_the_record_is_what_the_checkpoint_measures(uninterrupted):
    _, last = uninterrupted
    profile = measure(last.model(), TEST, 3, batch_size=16)
    assert profile.tet_loss[-1] == last.history[-1]["test_tet_loss"]
    assert profile.accuracy[-1] == last.history[-1]["test_accuracy"]


def test_the_best_epoch_is_chosen_on_held_out_samples_of_the_last_stage(uninterrupted):
    best, last = uninterrupted
    stage = last.history[3:]
    chosen = max(stage, key=lambda r: (r["val_accuracy"], -r["val_sdt_loss"]))
    assert best.epoch == chosen["epoch"]
    assert best.history[-1] == chosen


@pytest.mark.parametrize("batches", [1, 5, 8, 14])
def test_stopped_and_resumed_it_ends_the_same(uninterrupted, tmp_path, batches):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monitors=[StopAfter(batches)])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monitors=[StopAfter(3)], resume=True)
    assert_same(run(tmp_path, resume=True), uninterrupted[0])
    for name, whole in zip(("best.pt", "last.pt"), uninterrupted, strict=True):
        assert (tmp_path / name).read_bytes() == whole.save(tmp_path / "whole.pt").read_bytes(), name


def test_the_callers_random_state_does_not_matter_and_is_kept(uninterrupted, tmp_path):
    torch.manual_seed(123)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert_same(run(tmp_path), uninterrupted[0])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_resuming_a_finished_run_changes_nothing(uninterrupted, tmp_path):
    run(tmp_path)
    before = (tmp_path / "best.pt").read_bytes()
    assert_same(run(tmp_path, resume=True), uninterrupted[0])
    assert (tmp_path / "best.pt").read_bytes() == before


def test_other_settings_cannot_resume(uninterrupted, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monitors=[StopAfter(5)])
    other = dataclasses.replace(CONFIG, lr=1e-3, spec=dataclasses.replace(SPEC, leak=0.9))
    with refuses(TrainingError, "leak 0.5 0.9 0.005 0.001"):
        run(tmp_path, other, resume=True)


def test_a_seed_decides(uninterrupted, tmp_path):
    other = run(tmp_path, dataclasses.replace(CONFIG, seed=1))
    assert other.history != uninterrupted[0].history


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    config = dataclasses.replace(CONFIG, lr=1e30, optimizer="sgd", momentum=0.0)
    with refuses(TrainingError, "--lr"):
        run(tmp_path, config)
    assert Checkpoint.load(tmp_path / "last.pt").epoch == 0


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "sdt"},
        {"loss": "total", "lamb": 0.1},
        {"loss": "sdt", "switch": Switch("tet", 1)},
        {"optimizer": "sgd", "weight_decay": 1e-3},
        {"optimizer": "adamw", "lr_schedule": "constant"},
        {"optimizer": "sam", "rho": 0.1, "precision": "bfloat16"},
        {"precision": "float64"},
        {"precision": "bfloat16"},
        {"augment": ("flip", "crop", "cutout")},
        {"spec": dataclasses.replace(SPEC, norm="tdbn", surrogate="arctan", detach_reset=True)},
        {"spec": dataclasses.replace(SPEC, surrogate="sigmoid", gamma=0.1)},
        {"val_fraction": 0.0},
    ],
)
def test_every_setting_trains(tmp_path, change):
    config = dataclasses.replace(CONFIG, stages=(Stage(2, 2),), **change)
    best = run(tmp_path, config)
    assert np.isfinite([r["train_loss"] for r in best.history]).all()
    assert Checkpoint.load(tmp_path / "last.pt").epoch == 2
    if change.get("val_fraction") == 0:
        assert best.epoch == 2
    if "switch" in change:
        assert [r["loss"] for r in Checkpoint.load(tmp_path / "last.pt").history] == ["sdt", "tet"]


def test_tensorboard_has_every_epoch(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path, dataclasses.replace(CONFIG, stages=(Stage(2, 2),)), monitors=[TensorBoardMonitor(tmp_path / "log")])
    events = EventAccumulator(str(tmp_path / "log")).Reload()
    history = Checkpoint.load(tmp_path / "last.pt").history
    for name in ("train_loss", "test_accuracy", "val_tet_loss", "lr"):
        logged = [(e.step, e.value) for e in events.Scalars(name)]
        assert logged == [(r["epoch"], pytest.approx(r[name], rel=1e-6)) for r in history]


def test_other_samples_under_the_same_name_cannot_resume(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monitors=[StopAfter(8)])
    with refuses(TrainingError, "samples data"):
        paths = {"best_path": tmp_path / "best.pt", "last_path": tmp_path / "last.pt"}
        fit(CONFIG, Stripes(90, 7), TEST, resume=True, **paths)


@pytest.mark.parametrize("data", [TRAIN, TEST])
@pytest.mark.parametrize("resume", [False, True])
def test_a_data_set_that_changes_during_a_run_is_noticed(uninterrupted, tmp_path, data, resume):
    class Changes(Monitor):
        def on_epoch(self, record):
            if record["epoch"] == 2:
                data.images[17, 0, 3, 4] += 1
                if resume:
                    raise KeyboardInterrupt

    before = data.images[17].clone()
    try:
        if resume:
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path, monitors=[Changes()])
        with refuses(TrainingError, "epoch 3 not those of the epochs before --resume --force last.pt (epoch 2)"):
            run(tmp_path, monitors=[Changes()], resume=resume)
        assert Checkpoint.load(tmp_path / "last.pt").epoch == 2
    finally:
        data.images[17] = before
    assert_same(run(tmp_path, resume=True), uninterrupted[0])


def test_samples_that_are_not_repeatable_are_no_change(tmp_path):
    class Augmented(Stripes):
        repeatable = False

        def __getitem__(self, index):
            return self.images[index] + torch.randn(1, 16, 16), int(self.labels[index])

    paths = {"best_path": tmp_path / "best.pt", "last_path": tmp_path / "last.pt"}
    fit(CONFIG, Augmented(90, 0), TEST, **paths)
    seen = Checkpoint.load(tmp_path / "last.pt").resume["seen"]
    assert seen.keys() == {"test"}


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_changes_in_the_first_epoch_is_noticed(uninterrupted, tmp_path, resume):
    file = tmp_path / "data"
    file.write_bytes(b"x")

    def opened(samples, seed):
        data = Stripes(samples, seed)
        data.sources = Sources([file])
        return data

    class Changes(Monitor):
        def on_batch(self, batch, batches, loss):
            file.write_bytes(b"other")

    paths = {"best_path": tmp_path / "best.pt", "last_path": tmp_path / "last.pt"}
    for splits in ((opened(90, 0), TEST), (TRAIN, opened(30, 1))):
        with refuses(TrainingError, "data: changed first epoch --resume --force"):
            fit(CONFIG, *splits, monitors=[Changes()], resume=resume, **paths)
        assert Checkpoint.load(paths["last_path"]).epoch == 0 and not paths["best_path"].exists()
    assert_same(fit(CONFIG, opened(90, 0), TEST, resume=True, **paths), uninterrupted[0])


class Augmented(Stripes):
    """Shifts its samples by a generator of its own, of NumPy, or of torch."""

    repeatable = False

    def __init__(self, samples, seed, source):
        super().__init__(samples, seed)
        self.draw = {"own": np.random.default_rng().integers, "numpy": np.random.randint, "torch": self.from_torch}[
            source
        ]

    def from_torch(self, low, high):
        return int(torch.randint(low, high, ()))

    def __getitem__(self, index):
        return self.images[index].roll(int(self.draw(0, 16)), -1), int(self.labels[index])


@pytest.mark.parametrize("source", ["own", "numpy", "torch"])
def test_a_run_on_random_augmentations_goes_on(tmp_path, source):
    paths = {"best_path": tmp_path / "best.pt", "last_path": tmp_path / "last.pt"}
    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, Augmented(90, 0, source), TEST, monitors=[StopAfter(8)], **paths)
    assert reads_vary(Augmented(90, 0, source)) == (source == "own") and not reads_vary(TRAIN)
    assert fit(CONFIG, Augmented(90, 0, source), TEST, resume=True, **paths).history
    assert Checkpoint.load(paths["last_path"]).epoch == 5

    (tmp_path / "other").mkdir()
    paths = {name: tmp_path / "other" / path.name for name, path in paths.items()}
    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, Augmented(90, 0, source), TEST, monitors=[StopAfter(8)], **paths)
    others = Augmented(90, 0, source)
    others.labels = others.labels[::-1].copy()
    with refuses(TrainingError, "samples data"):
        fit(CONFIG, others, TEST, resume=True, **paths)


def test_what_older_runs_keep_of_their_samples_holds():
    now = Fingerprint.of(TRAIN, TEST)
    digest = hashlib.sha256()
    for data in (TRAIN, TEST):
        digest.update(data.labels.tobytes() + data[0][0].numpy().tobytes())
    assert now.fits({"samples": digest.hexdigest()})
    assert not now.fits({"samples": "0" * 64, "labels": now.labels}) and not now.fits({})
    assert Fingerprint(now.labels, "").fits(now.to_dict()) and now.fits({"labels": now.labels, "samples": ""})


def damaged(**values):
    return lambda resume: {**resume, **values}


def other_moments(resume):
    state = {at: {**kept, "exp_avg": torch.zeros(7)} for at, kept in resume["optimizer"]["state"].items()}
    return {**resume, "optimizer": {**resume["optimizer"], "state": state}}


def other_betas(resume):
    groups = [{**group, "betas": "x"} for group in resume["optimizer"]["param_groups"]]
    return {**resume, "optimizer": {**resume["optimizer"], "param_groups": groups}}


@pytest.mark.parametrize(
    "change",
    [
        *(damaged(optimizer={}), damaged(optimizer=3), other_moments, other_betas),
        *(damaged(scaler=3), damaged(best={"epoch": 1}), damaged(best=3), damaged(seen=3)),
    ],
)
def test_a_damaged_state_cannot_resume(uninterrupted, tmp_path, change):
    best, last = uninterrupted
    best.save(tmp_path / "best.pt")
    dataclasses.replace(last, resume=change(last.resume)).save(tmp_path / "last.pt")
    with refuses(TrainingError, "last.pt cannot resume damaged --force"):
        run(tmp_path, resume=True)


def test_a_lost_best_checkpoint_is_named(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, monitors=[StopAfter(8)])
    (tmp_path / "best.pt").unlink()
    with refuses(TrainingError, "best.pt"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize("change", [{"optimizer": "sdg"}, {"loss": "mae"}, {"augment": ("spin",)}, {"lr": 0.0}])
def test_unknown_settings_are_refused(change):
    with refuses(ValueError):
        dataclasses.replace(CONFIG, **change)


def test_training_and_measuring_keep_cudnn_on_deterministic_and_exact(tmp_path):
    seen = []

    class Look(Monitor):
        def on_batch(self, batch, batches, loss):
            cudnn = torch.backends.cudnn
            seen.append((cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32))

    before = torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    run(tmp_path, dataclasses.replace(CONFIG, stages=(Stage(1, 1),)), monitors=[Look()])
    assert set(seen) == {(True, True, False, False)}
    assert before == (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)


def test_padding_is_not_trained_on(tmp_path):
    train = Stripes(90, 1)
    train.lengths = np.full(90, 3)
    train.lengths[4] = 1
    paths = {"best_path": tmp_path / "best.pt", "last_path": tmp_path / "last.pt"}
    with refuses(DataError, "train 1 frames most"):
        fit(dataclasses.replace(CONFIG, stages=(Stage(2, 1),)), train, TEST, **paths)
    assert not list(tmp_path.iterdir())
