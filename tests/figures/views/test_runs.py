"""What scaling curves of several trained networks show: Tables 1 to 3 of the TET paper."""

import math
import statistics

import pytest
from every_kind import NAMED, retrained, trained
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_named


def test_table_1_has_means_and_deviations_over_seeds():
    tops = {"sdt": (0.80, 0.84, 0.85), "tet": (0.90, 0.91, 0.95)}
    curves = [trained(loss, seed, top=top) for loss, each in tops.items() for seed, top in enumerate(each)]
    table = draw_named("table1", curves)
    frame = table.frame.set_index("loss")
    for loss, each in tops.items():
        percent = [100 * top * (curves[0].accuracy[3] / tops["sdt"][0]) for top in each]
        assert frame.loc[loss, "mean accuracy (%)"] == pytest.approx(statistics.mean(percent))
        assert frame.loc[loss, "standard deviation (points)"] == pytest.approx(statistics.stdev(percent))
        assert f"{statistics.mean(percent):.2f} ± {statistics.stdev(percent):.2f} (n = 3)" in table.cells().to_numpy()
    gain = frame.loc["tet", "mean accuracy (%)"] - frame.loc["sdt", "mean accuracy (%)"]
    assert f"{gain:+.2f}" in table.cells().to_numpy()


def test_a_network_is_counted_once_and_unlike_runs_are_told():
    with refuses(ResultError, "same checkpoint"):
        draw_named("table1", [trained(digest="ab"), trained(seed=1, digest="ab")])
    with refuses(ResultError, "same training"):
        draw_named("table1", [trained(digest="ab"), trained(digest="cd", label="last")])


def test_only_runs_that_differ_in_nothing_but_the_seed_are_pooled():
    curves = [trained("total", seed, lamb) for seed, lamb in ((0, 0.05), (1, 0.05), (0, 0.2))]
    curves += [trained("sdt", 0), trained("tet", 0), retrained(trained("tet", 1, digest="ab"), lr=0.01)]
    first, third = draw_named("table1", curves), draw_named("table3", curves)
    losses, own = first.cells(), third.cells()
    methods = ["SDT", "TET", "TET, lr 0.01", "TOTAL, lambda 0.05", "TOTAL, lambda 0.2"]
    assert losses["trained with"].tolist() == methods and len(set(losses.index)) == 1
    gains = losses["minus SDT (points)"].tolist()
    assert gains[0] == "-" and "-" not in gains[1:]
    assert own["method"].tolist() == methods and "n" not in own
    assert [cell.endswith("(n = 2)") for cell in own["accuracy (%)"]] == [False, False, False, True, False]
    assert third.frame["networks"].tolist() == [1, 1, 1, 2, 1]
    heard(first.caption, "more than")
    assert "more than their loss and seed" not in draw_named("table1", NAMED["table1"]()).caption


def test_switches_at_different_epochs_are_different_methods():
    switched = [retrained(trained("sdt", seed), switch=f"tet@{at}") for seed, at in ((0, 10), (1, 10), (2, 20))]
    methods = draw_named("table3", switched).cells()["method"].tolist()
    assert methods == ["SDT, then TET, switched after epoch 10", "SDT, then TET, switched after epoch 20"]


def test_unlike_budgets_of_unlike_losses_are_said():
    longer = retrained(trained("sdt", 0), switch="tet@10", stages=["4:60"])
    heard(draw_named("table1", [trained("sdt", 1), longer]).caption, "more stages")


def test_a_switch_to_l_total_has_its_lambda():
    switched = [retrained(trained("sdt", seed, lamb), switch="total@10") for seed, lamb in ((0, 0.05), (1, 0.2))]
    table = draw_named("table3", switched)
    assert table.cells()["method"].tolist() == ["SDT, then TOTAL, lambda 0.05", "SDT, then TOTAL, lambda 0.2"]
    assert table.frame["lambda"].tolist() == [0.05, 0.2]


def test_table_2_has_a_row_for_each_k_with_spikes_last():
    table = draw_named("table2", [trained("sdt", k=10.0), trained("tet"), trained("tet", k=1.0)])
    cells = table.cells()
    assert cells.index.tolist() == ["k = 1", "k = 10", "spikes"]
    assert cells["SDT"].tolist()[0] == "-" and "[" in cells["TET"].iloc[0]
    assert [k for k in table.frame["k"] if not math.isnan(k)] == [1.0, 10.0]
    with refuses(ResultError, "network neurons"):
        draw_named("table2", [trained("tet")])
