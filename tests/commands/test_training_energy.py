"""``tetviz training-energy`` from a checkpoint to table, file and figure."""

import json

import numpy as np
import pytest
import torch
from cli_runs import tetviz

from tetviz.figures.formatting import short
from tetviz.models import ModelSpec, build
from tetviz.results import TrainingOperations, load
from tetviz.summaries.training import phase_energy, run_energy, training_table
from tetviz.training import Checkpoint, DataSpec, Stage, Switch, TrainingConfig, load_data
from tetviz.training.data import split_validation


def measure(*args, code=0):
    return tetviz("training-energy", *args, code=code)


@pytest.fixture
def make_checkpoint(tmp_path):
    """Untrained, with the settings of a run."""

    def make(name="tet.pt", **settings):
        data = load_data("digits", split="train")
        spec = ModelSpec("snn5", 10, data.in_channels, data.image_size, 0.0625)
        config = TrainingConfig(
            spec, data.spec, **{"stages": (Stage(2, 300), Stage(3, 50)), "batch_size": 100, "seed": 3, **settings}
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            state = build(spec).state_dict()
        checkpoint = Checkpoint(spec, state, 3, config.to_dict(), data.spec.to_dict())
        return checkpoint.save(tmp_path / name)

    return make


def test_it_writes_what_it_prints(make_checkpoint):
    path = make_checkpoint(loss="sdt", optimizer="sgd", weight_decay=1e-4)
    said = measure(path, "--samples", 20)
    result = load(path.with_name("tet.training-energy.h5"), TrainingOperations)
    assert path.with_name("tet.training-energy.png").stat().st_size > 1000
    labels = load_data("digits", split="train").labels
    kept, _ = split_validation(labels, 0.1, 3)
    assert (result.loss, result.bn, result.cost) == ("sdt", "frozen", "45nm-fp32")
    assert (result.optimizer, result.optimizer_mac, result.train_batch_size) == ("sgd", 3, 100)
    assert result.train_samples == len(kept) and result.stages == ((2, 300), (3, 50))
    assert len(result.sample) == 20 and result.timestep.tolist() == [1, 2, 3]
    assert (result.provenance.split, result.provenance.dataset) == ("train", "digits")
    table = training_table(result)
    total = next(line for line in said.stdout.splitlines() if line.startswith("total"))
    unit = said.stdout.split("FP (")[1].split(")")[0]
    factor = {"pJ": 1, "nJ": 1e3, "uJ": 1e6}[unit]
    assert total.split()[1:] == [short(pj / factor) for pj in table.loc["total"]]
    assert "300 epochs at T = 2 + 50 epochs at T = 3 = 750 timestep-epochs (71% of 1,050 at T = 3)" in said.stdout
    assert f"{run_energy(result):.4g} J" in said.stdout


def test_json_holds_the_same_numbers(make_checkpoint):
    path = make_checkpoint()
    (record,) = json.loads(measure(path, "--samples", 10, "--json", "--bn", "batch", "--loss", "total").stdout)
    result = load(path.with_name("tet.training-energy.h5"), TrainingOperations)
    assert (record["loss"], record["bn"], record["timestep_epochs"]) == ("total", "batch", 750)
    np.testing.assert_allclose(record["BP_pj_by_timestep"], phase_energy(result)[1].sum(0))
    np.testing.assert_allclose(record["dense_pj"], training_table(result)["dense"][:-1])
    assert record["d_need"][0] is None and record["layer"] == list(result.names)
    assert record["run_joules"] == pytest.approx(run_energy(result))


def test_the_loss_is_that_of_the_epoch(make_checkpoint):
    path = make_checkpoint(loss="sdt", switch=Switch("tet", 200))
    content = torch.load(path, weights_only=True)
    for epochs, loss in ((0, "sdt"), (3, "tet")):
        history = [{"epoch": epoch + 1, "loss": loss} for epoch in range(epochs)]
        torch.save(content | {"history": history}, path)
        measure(path, "--samples", 10, "--force")
        assert load(path.with_name("tet.training-energy.h5")).loss == loss


def test_options_choose_steps_split_and_price(make_checkpoint, tmp_path):
    path, target = make_checkpoint(), tmp_path / "a.h5"
    said = measure(
        path,
        "--samples",
        10,
        "--timesteps",
        1,
        "--split",
        "test",
        "--cost",
        "45nm-int8",
        "-o",
        target,
    )
    result = load(target)
    assert result.timestep.tolist() == [1] and result.t_train == 3 and result.provenance.split == "test"
    assert (result.mac_pj, result.ac_pj) == (0.23, 0.03) and "45nm-int8 (0.23 pJ a MAC, 0.03 pJ an AC)" in said.stdout
    assert result.train_samples > 1000


def test_a_checkpoint_without_a_run_has_no_cost_of_one(make_checkpoint):
    path = make_checkpoint()
    content = torch.load(path, weights_only=True)
    torch.save(content | {"training": {}}, path)
    said = measure(path, "--samples", 10)
    assert "the run: not recorded in the checkpoint" in said.stdout and "adam" not in said.stdout
    result = load(path.with_name("tet.training-energy.h5"))
    assert (result.loss, result.stages, result.train_samples) == ("tet", (), 0)


def test_several_checkpoints_at_once(make_checkpoint, tmp_path):
    paths = [make_checkpoint("sdt.pt", loss="sdt"), make_checkpoint("tet.pt")]
    said = measure(*paths, "--samples", 10)
    assert said.stdout.count("this run:") == 2
    tetviz("plot", *(path.with_suffix(".training-energy.h5") for path in paths), "-o", tmp_path / "both.pdf")


def test_errors_say_what_is_wrong(make_checkpoint):
    path = make_checkpoint()
    assert "unknown" in measure(path, "--cost", "45nm-fp23", code=1).stderr
    assert not path.with_name("tet.training-energy.h5").exists()
    measure(path, "--samples", 10)
    assert "is there already" in measure(path, "--samples", 10).stderr
    assert "exists already" in measure(path, "--samples", 10, "--bn", "batch", code=1).stderr
    measure(path, "--bn", "recalibrate", code=2)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"training": {**content["training"], "stages": ["2x300"]}}, path)
    assert "its training settings cannot be used" in measure(path, "--samples", 10, "--force", code=1).stderr


def test_the_data_set_of_the_run_decides_whether_its_cost_is_known(make_checkpoint, tmp_path):
    path = make_checkpoint()
    images = np.random.default_rng(0).integers(0, 255, (30, 8, 8), dtype=np.uint8)
    labels = np.arange(30) % 10
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    said = measure(path, "--data", "npz", "--data-root", tmp_path / "a.npz", "--samples", 10)
    assert "the run: not recorded" in said.stdout
    assert DataSpec(**torch.load(path, weights_only=True)["data"]).name == "digits"
