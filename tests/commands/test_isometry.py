"""``tetviz isometry`` from checkpoints to table, file and figures."""

import json

import numpy as np
import pytest
import torch
from cli_runs import tetviz

from tetviz.models import ModelSpec, build
from tetviz.results import BlockIsometry, load
from tetviz.summaries.isometry import depth_summary, isometry_table, running_product
from tetviz.training import Checkpoint, load_data


@pytest.fixture
def make_checkpoint(tmp_path):
    """Untrained."""

    def make(name="plain.pt", model="cifar-resnet", **options):
        data = load_data("digits", split="test")
        options = {"depth": 8, "block": "plain", **options} if model == "cifar-resnet" else options
        spec = ModelSpec(model, 10, 1, data.image_size, 0.25, options=options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            state = build(spec).state_dict()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        return Checkpoint(spec, state, 2, {"loss": "sdt"}, data.spec.to_dict()).save(tmp_path / name)

    return make


def test_it_writes_what_it_prints(make_checkpoint):
    path = make_checkpoint()
    said = tetviz("isometry", path, "--samples", 20, "--probes", 2, "--seed", 7)
    result = load(path.with_name("plain.isometry.h5"), BlockIsometry)
    assert path.with_name("plain.isometry.png").stat().st_size > 1000
    assert (result.loss, result.bn, result.probes, result.probe_seed, result.t_train) == ("sdt", "batch", 2, 7, 2)
    assert list(result.names) == ["blocks.0", "blocks.1", "blocks.2"] and len(result.sample) == 20
    assert (result.provenance.dataset, result.provenance.split, result.provenance.seed) == ("digits", "test", "7")
    rows = {line.split()[0]: line.split() for line in said.stdout.splitlines() if line.startswith("blocks.")}
    for name, row in isometry_table(result).iterrows():
        assert rows[name][1] == "BasicBlock" and float(rows[name][2]) == pytest.approx(row["phi"], rel=1e-3)
        assert float(rows[name][4]) == pytest.approx(row["closed form"], rel=1e-3)
        assert [float(value) for value in rows[name][7:]] == pytest.approx(
            [row["product"], row["growth"], row["gradient"], row["bypass"]], rel=1e-3
        )
    assert f"by the product {np.sqrt(running_product(result)[0]):#.4g}" in said.stdout
    assert "warning" not in said.stderr


def test_the_same_command_gives_the_same_file(make_checkpoint):
    path = make_checkpoint()
    results = []
    for _ in range(2):
        tetviz("isometry", path, "--samples", 6, "--force")
        results.append(load(path.with_name("plain.isometry.h5")))
    np.testing.assert_array_equal(results[0].phi, results[1].phi)


def test_several_networks_are_overlaid_and_drawn_again(make_checkpoint, tmp_path):
    paths = [make_checkpoint(), make_checkpoint("ms.pt", block="ms", depth=14), make_checkpoint("snn.pt", "snn5")]
    said = tetviz("isometry", *paths, "--samples", 6, "--depth", "relative")
    assert (tmp_path / "plain-ms-snn.isometry.png").stat().st_size > 1000
    files = [path.with_suffix(".isometry.h5") for path in paths]
    tetviz("plot", *files, "-o", tmp_path / "both.pdf")
    assert "isometry" in tetviz("info", files[0]).stdout
    assert list(load(files[2]).modules) == ["chain"] * 4
    lines = [line.split() for line in said.stdout.splitlines()]
    first = next(place for place, words in enumerate(lines) if words[:2] == ["network", "blocks"]) + 1
    assert [words[:2] for words in lines[first : first + 3]] == [["plain", "3"], ["ms", "6"], ["snn", "4"]]
    for path, words in zip(files, lines[first:], strict=False):
        whole = depth_summary(load(path))
        assert float(words[-3]) == pytest.approx(whole["growth"], rel=1e-3)
        assert words[-1] == f"{whole['rate']:.1%}"
    result = load(files[1])
    np.testing.assert_array_equal(result.step_phi[[0, 1, 3, 5]], 1)  # untrained, and of one shape


def test_json_holds_the_same_numbers(make_checkpoint):
    path = make_checkpoint()
    said = tetviz("isometry", path, "--samples", 6, "--json", "--loss", "total", "--bn", "frozen", "--timesteps", 3)
    (record,) = json.loads(said.stdout)
    result = load(path.with_name("plain.isometry.h5"))
    assert (record["loss"], record["bn"], record["timesteps"], record["samples"]) == ("total", "frozen", 3, 6)
    assert record["phi"] == result.step_phi.tolist() and record["phi_run"] == result.run_phi.tolist()
    assert record["layer"] == list(result.layer_names) and len(record["rate_by_timestep"]) == len(result.neuron)
    assert np.array(record["layer_gradient_by_timestep"]).shape == (len(result.layer), 3)


def test_a_kept_epoch_is_named_after_its_run(make_checkpoint):
    path = make_checkpoint("run.kept/epoch-0000.pt")
    assert tetviz("isometry", path, "--samples", 6).stdout.startswith("run epoch-0000: L_SDT")
    assert load(path.with_suffix(".isometry.h5")).provenance.label == "run epoch-0000"


def test_kept_epochs_of_several_runs_are_told_apart(make_checkpoint, tmp_path):
    paths = [make_checkpoint(f"{name}.kept/epoch-0000.pt") for name in ("one", "two")]
    said = tetviz("isometry", *paths, "--samples", 4, "--probes", 1).stdout
    assert "\none epoch-0000 " in said and "\ntwo epoch-0000 " in said
    assert paths[0].with_name("one-epoch-0000-two-epoch-0000.isometry.png").exists()
    assert all(path.with_suffix(".isometry.h5").exists() for path in paths)
    folder = tmp_path / "out"
    folder.mkdir()
    tetviz("isometry", *paths, "--samples", 4, "--probes", 1, "-o", folder)
    names = {f"{name}-epoch-0000.isometry.{suffix}" for name in ("one", "two") for suffix in ("h5", "png")}
    assert {path.name for path in folder.iterdir()} == {"isometry.png", *names}


def test_the_untrained_network_of_a_run_is_kept(tmp_path):
    options = ["--model", "ms-resnet20", "--width", 0.125, "--data", "digits", "--timesteps", 1, "--epochs", 1]
    tetviz("train", *options, "--batch-size", 512, "--keep-every", 1, "-o", tmp_path / "ms.pt")
    path = tmp_path / "ms.kept" / "epoch-0000.pt"
    tetviz("isometry", path, "--samples", 8, "--probes", 1)
    result = load(path.with_suffix(".isometry.h5"))
    assert (result.step_phi[[0, 1, 2, 4, 5, 7, 8]] == 1).all() and len(result.block) == 9


def test_blocks_by_name(make_checkpoint):
    path = make_checkpoint()
    tetviz("isometry", path, "--samples", 6, "--blocks", r"blocks\.\d+\.lif[12]")
    result = load(path.with_name("plain.isometry.h5"))
    assert len(result.block) == 6 and set(result.modules) == {"LIF"}
    assert np.isnan(result.closed_form).all()
    said = tetviz("isometry", path, "--samples", 6, "--blocks", r"blocks\.\d+\.conv1", "--force")
    assert "warning: 3 of 3 blocks do not carry all of the gradient" in said.stderr


def test_errors_say_what_is_wrong(make_checkpoint, tmp_path):
    path = make_checkpoint()
    assert "no regular expression" in tetviz("isometry", path, "--blocks", "(", code=2).stderr
    said = tetviz("isometry", path, "--blocks", "block", code=1).stderr
    assert "match no module's whole name" in said and r"what repeats: BasicBlock 3 times, blocks\.\d+;" in said
    assert "one sample" in tetviz("isometry", path, "--samples", 1, code=1).stderr
    for wrong in (["--probes", 0], ["--bn", "recalibrate"], ["--depth", "deep"], ["--seed", -1], ["--loss", "mae"]):
        tetviz("isometry", path, *wrong, code=2)
    assert "no such file" in tetviz("isometry", tmp_path / "none.pt", code=1).stderr
    assert not path.with_name("plain.isometry.h5").exists()
    tetviz("isometry", path, "--samples", 6)
    assert "is there already" in tetviz("isometry", path, "--samples", 6).stderr
    assert (
        "exists already, measured with another seed"
        in tetviz("isometry", path, "--samples", 6, "--seed", 1, code=1).stderr
    )
