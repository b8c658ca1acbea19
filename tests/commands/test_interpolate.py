"""``tetviz interpolate``: the straight line between two checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from moved_run import (
    result_of,
)
from planted_results import planted_lines

from tetviz.commands.pair import about_all
from tetviz.results import Provenance
from tetviz.training import Checkpoint


@pytest.mark.parametrize("path", ["interpolate", "connect"])
def test_paths_print_what_they_store(
    path: str, tet: Path, measured: dict[str, Result], records: dict[str, Any]
) -> None:
    lines, rows = result_of(path, tet), records[path]
    names = lines.names
    assert names == (("held", "interpolated", "recalibrated") if path == "interpolate" else ("straight", "curve"))
    assert [(row["loss"], row["line"]) for row in rows] == [(f, n) for f in ("L_SDT", "L_TET") for n in names]
    inside = (lines.x >= 0) & (lines.x <= 1)
    assert lines.x[inside][[0, -1]].tolist() == [0, 1]
    for row in rows:
        loss = f"{row['loss'][2:].lower()}_loss"
        ends = getattr(lines, f"end_{loss}")[:, -1]
        between = getattr(lines, loss)[names.index(row["line"]), inside, -1]
        assert [row["first"], row["second"]] == ends.tolist()
        assert row["barrier"] == pytest.approx(between.max() - ends.mean(), rel=1e-9)
        assert between.min() - 1e-9 <= row["mean along"] <= between.max() + 1e-9
        assert f"{row['barrier']:.4f}" in measured[path].stdout
    assert lines.provenance.checkpoint == f"{tet}, {tet.with_name('other.pt')}"


def test_the_ends_of_a_path_are_the_checkpoints(tet: Path, measured: dict[str, Result]) -> None:
    lines, centre = result_of("interpolate", tet), result_of("landscape", tet).sdt_loss[0, 2, 2]
    np.testing.assert_allclose(lines.end_sdt_loss[0], centre, rtol=1e-9)
    x = lines.x.tolist()
    np.testing.assert_allclose(lines.sdt_loss[0, x.index(0)], lines.end_sdt_loss[0], rtol=1e-9)  # held
    np.testing.assert_allclose(lines.sdt_loss[1, x.index(1)], lines.end_sdt_loss[1], rtol=1e-9)  # interpolated
    curve = result_of("connect", tet)
    np.testing.assert_allclose(curve.sdt_loss[0, [0, -1]], curve.sdt_loss[1, [0, -1]], rtol=1e-6)
    assert not np.allclose(curve.sdt_loss[0, 1], curve.sdt_loss[1, 1], rtol=1e-6)
    assert curve.bn == "recalibrate" and len(curve.calibration) == 20


def test_what_networks_do_not_share_is_not_told_of_both(tet: Path, tmp_path: Path) -> None:
    first, other = Checkpoint.load(tet), tmp_path / "other.pt"
    replace(first, training={**first.training, "loss": "sdt"}).save(other)
    subject = replace(planted_lines(), provenance=Provenance(training="of the first", neurons="of the first"))
    both, same = (about_all(subject, (tet, second)).provenance for second in (other, tet))
    assert both.training == {} and same.training["loss"] == "tet"
    assert both.neurons == same.neurons and both.neurons["neuron"] == "lif"
