"""Runs of training as rows of a table."""

import dataclasses
from typing import Any

from planted_results import planted_curve
from wording import refuses

from tetviz.errors import ResultError
from tetviz.results import ScalingCurve
from tetviz.summaries.runs import run_of, runs_of


def trained(label: str, **settings: Any) -> ScalingCurve:
    curve = planted_curve()
    training = {"loss": "sdt", "seed": 0, "switch": "", **settings}
    origin = dataclasses.replace(curve.provenance, label=label, checkpoint_sha256=label, training=training, neurons={})
    return dataclasses.replace(curve, provenance=origin)


def test_another_epoch_of_the_switch_is_another_setting() -> None:
    early, late = (trained(f"at {epoch}", switch=f"tet@{epoch}") for epoch in (10, 20))
    assert run_of(early).loss == run_of(late).loss == "sdt>tet"
    assert run_of(early).settings != run_of(late).settings
    assert len(runs_of([early, late])) == 2
    with refuses(ResultError, "same training"):
        runs_of([early, dataclasses.replace(early, provenance=trained("copy", switch="tet@10").provenance)])


def test_a_curve_between_networks_is_no_run_of_training() -> None:
    with refuses(ResultError, "network trained"):
        run_of(trained("curve", between=["a", "b"]))
