"""``tetviz compress`` from a checkpoint to networks, table, file and figure."""

import json

import numpy as np
import pytest
from cli_runs import tetviz

from tetviz.results import Compression, OperationCounts, load
from tetviz.summaries import estimate_energy
from tetviz.training import Checkpoint

SHORT = ("--admm-epochs", 1, "--epochs", 1, "--batch-size", 32, "--samples", 40)


def test_it_makes_networks_and_measures_them_and_every_command_takes_them(run, data):
    said = tetviz(
        "compress", run, "--data-root", data, "--sparsity", ".8", "--bits", "3", "--activity", "0,0.1", *SHORT, "--json"
    )
    result = load(run.with_name("tet.compression.h5"), Compression)
    assert result.names == ("dense", "s0.8", "s0.8-oneshot", "b3", "retrained", "a0.1")
    assert result.mechanisms == ("dense", "admm", "one-shot", "admm", "retrained", "activity")
    assert run.with_name("tet.compression.png").stat().st_size > 1000
    kept = [int(count - zeros) for count, zeros in zip(result.layer_weights, result.zeros[1], strict=True)]
    assert kept == [round(0.2 * int(count)) for count in result.layer_weights]
    assert np.isfinite(result.distance[[1, 3]]).all() and np.isnan(result.distance[[0, 2, 4, 5]]).all()
    assert result.histogram.sum(1) == pytest.approx(np.ones(6))
    records = json.loads(said.stdout)
    assert [each["network"] for each in records] == list(result.names)
    made = run.with_name("tet.compressed") / "s0.8.pt"
    assert Checkpoint.load(made).training["compressed"]["sparsity"] == 0.8
    tetviz("energy", made, "--data-root", data, "--samples", 40)
    counts = load(made.with_name("s0.8.energy.h5"), OperationCounts)
    assert counts.skip_zero_weights == 1
    assert estimate_energy(counts).total_pj == pytest.approx(result.energy[1], rel=1e-12)
    again = tetviz(
        "compress", run, "--data-root", data, "--sparsity", ".8", "--bits", "3", "--activity", "0,0.1", *SHORT
    )
    assert "is there already, finished" in again.stderr
    assert "ADMM is" in again.stdout


def test_networks_of_other_settings_are_not_replaced_unasked(run, data):
    asked = ("compress", run, "--data-root", data, "--activity", "0", *SHORT)
    tetviz(*asked)
    measured = (run.with_name("tet.compression.h5"), run.with_name("tet.compression.png"))
    for path in measured:
        path.unlink()
    made = run.with_name("tet.compressed") / "retrained.pt"
    before = made.read_bytes()
    said = tetviz(*asked, "--lr", 0.5, code=1)
    assert "other settings; choose another name with -o" in said.stderr and made.read_bytes() == before
    tetviz(*asked)
    assert made.read_bytes() == before
    tetviz(*asked, "--lr", 0.01, "--force")
    assert made.read_bytes() != before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "name what to do with"),
        (("--sparsity", "1"), "between 0 and 1"),
        (("--sparsity", "0,.5"), "between 0 and 1"),
        (("--sparsity", "nan"), "not a finite number"),
        (("--bits", "2"), "must be 1.58"),
        (("--activity", "-1"), "expected 0 or more"),
    ],
)
def test_values_out_of_range_are_a_line(run, options, expected):
    said = tetviz("compress", run, *options, code=2)
    assert expected in said.stderr
    assert not run.with_name("tet.compressed").exists()
