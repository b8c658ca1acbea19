"""``tetviz curvature``: what it prints is what it stores."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from moved_run import (
    result_of,
)

from tetviz.training import Checkpoint


def test_curvature_prints_what_it_stores(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    found, table = result_of("curvature", tet), measured["curvature"].stdout
    hessian, *radii = records["curvature"]
    assert "surrogate Hessian of L_SDT at T = 2 (not the curvature of the measured loss)" in table
    assert hessian["eigenvalues"] == found.eigenvalue.tolist() and len(hessian["eigenvalues"]) == 2
    assert f"{hessian['eigenvalues'][0]:.4g}" in table
    assert hessian["trace"] == pytest.approx(found.trace_estimate.mean())
    moved = [w.detach().double() for w in Checkpoint.load(tet).model().parameters() if w.dim() > 1]
    assert found.parameters == hessian["parameters"] == sum(w.numel() for w in moved)
    assert found.weight_norm == pytest.approx(math.sqrt(sum(float((w**2).sum()) for w in moved)))
    assert [row["radius"] for row in radii] == [0.03, 0.3]
    for i, row in enumerate(radii):
        step = row["radius"] * found.weight_norm
        rises = found.sdt_loss[:, i, :, -1].sum(1) - 2 * found.center_sdt_loss[-1]
        assert row["curvature"] == pytest.approx((rises / step**2).mean(), rel=1e-9)
        assert re.search(rf"^{row['radius']:g} +{re.escape(format(row['curvature'], '.4g'))} \[", table, re.M)
