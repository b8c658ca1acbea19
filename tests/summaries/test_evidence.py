"""Results of a study, sorted by how their networks were trained."""

import dataclasses

import numpy as np
from planted_results import planted_curve, planted_history, planted_sharpness
from planted_study import trained
from wording import refuses

from tetviz.errors import ResultError
from tetviz.summaries.evidence import evidence_of


def test_networks_are_sorted_by_setting_method_and_seed() -> None:
    curve = planted_curve(tmax=8)
    made = [trained(curve, loss, seed) for loss in ("sdt", "tet") for seed in (1, 0)]
    made += [trained(curve, "total", 0, lamb=0.05), trained(curve, "sdt", 0, k=10)]
    made += [trained(curve, "sdt", 0, switch="tet@20"), trained(curve, "tet", 0, stages=["1:30", "4:5"])]
    made += [trained(dataclasses.replace(curve, t_train=2), "sdt", 0, stages=["2:30"])]
    long, short = evidence_of(made)
    assert (long.setting.timesteps, short.setting.timesteps) == (4, 2)
    names = ["SDT", "SDT, k = 10", "SDT, then TET", "TET", "TET, in stages", "TOTAL, lambda 0.05"]
    assert sorted(long.methods) == names
    assert long.seeds == [0, 1]
    assert list(long.results("SDT", "scaling")) == [1, 0]
    assert long.results("TOTAL, lambda 0.05", "energy") == {}


def test_policies_of_batch_norm_are_kept_apart() -> None:
    frozen, again = planted_sharpness(), planted_sharpness(bn="recalibrate")
    (evidence,) = evidence_of([trained(each, "sdt", 0) for each in (frozen, again)])
    assert set(evidence.methods["SDT"][0]) == {"sharpness", "sharpness, recalibrate"}


def test_what_tetviz_did_not_train_is_left_out() -> None:
    assert evidence_of([planted_curve()]) == []


def test_a_history_goes_with_its_network() -> None:
    (evidence,) = evidence_of([trained(planted_curve(tmax=8), "sdt", 0), trained(planted_history(), "sdt", 0)])
    assert set(evidence.methods["SDT"][0]) == {"scaling", "history"}


def test_what_does_not_compare_is_refused() -> None:
    curve = planted_curve(tmax=8)
    with refuses(ResultError, "same network"):
        evidence_of([trained(curve, "sdt", 0), trained(curve, "sdt", 0)])
    with refuses(ResultError, "lr"):
        evidence_of([trained(curve, "sdt", 0), trained(curve, "sdt", 1, lr=0.1)])
    with refuses(ResultError, "lr"):
        evidence_of([trained(curve, "sdt", 0), trained(curve, "tet", 0, lr=0.1)])
    other = planted_curve(tmax=8, sample=np.arange(500))
    with refuses(ResultError, "different samples"):
        evidence_of([trained(curve, "sdt", 0), trained(other, "tet", 0)])
