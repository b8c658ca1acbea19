"""What training histories show: the table by epoch, and charts with the switch of the loss."""

import numpy as np
import pytest
from planted_results import planted_history

from tetviz.figures import draw_named, printed, records
from tetviz.figures.registry import view_named
from tetviz.figures.view import Choices


def charts(*histories):
    return view_named("history").curves(histories, Choices())


def test_the_history_table_shows_the_switch_and_the_chosen_epoch():
    table = draw_named("history-table", [planted_history(switch="tet@20")])
    assert len(table.frame) == 30 and table.frame["trained on"].tolist() == ["sdt"] * 20 + ["tet"] * 10
    assert {"20", "21", "30 (chosen)", "1"} <= set(table.cells().index)


def test_the_table_has_every_number_of_every_epoch_with_its_unit():
    run = planted_history(switch="tet@20")
    table = draw_named("history-table", [run])
    np.testing.assert_array_equal(table.frame["test_accuracy (%)"], 100 * run.test_accuracy)
    np.testing.assert_array_equal(table.frame["train_loss (nat)"], run.train_loss)
    np.testing.assert_array_equal(table.frame["val_tet_loss (nat)"], run.val_tet_loss)
    row = table.cells().loc["30 (chosen)"]
    assert row["trained on"] == "L_TET" and row["test (%)"] == f"{100 * run.test_accuracy[-1]:.2f}"
    assert row["L_SDT (nat)"] == f"{run.test_sdt_loss[-1]:.4f}" and row["T"] == str(run.timesteps[-1])


def test_a_run_that_was_stopped_says_how_much_of_it_there_is():
    assert "26 of 30 epochs" in printed([planted_history(done=26)])
    assert "epochs" not in printed([planted_history()])


def test_where_no_epoch_is_chosen_none_is_marked():
    (chart, *_) = charts(planted_history(best_epoch=0))
    assert chart.ring == "" and not any(each.ringed for each in chart.series)
    cells = draw_named("history-table", [planted_history(best_epoch=0)]).cells()
    assert not any("chosen" in epoch for epoch in cells.index)


def test_charts_hold_the_numbers_of_the_run_and_its_switch():
    run = planted_history(switch="tet@20")
    sdt, tet, accuracy = charts(run)
    for chart, values in ((sdt, run.test_sdt_loss), (tet, run.test_tet_loss), (accuracy, 100 * run.test_accuracy)):
        (series,) = [each for each in chart.series if not each.thin]
        np.testing.assert_array_equal(series.y, values)
        assert [(mark.at, mark.dashed, mark.text) for mark in chart.marks] == [
            (20.5, True, "SDT \N{RIGHTWARDS ARROW} TET")
        ]
        assert series.texts[2].startswith(f"epoch 3, T = {run.timesteps[2]}, trained on sdt\n")
    assert accuracy.series[0].texts[2].endswith(f"accuracy {run.test_accuracy[2]:.2%}")
    assert accuracy.thin == "" and sdt.thin and accuracy.y.scale == "linear"


@pytest.mark.parametrize(("spread", "scale"), [(7.0, "linear"), (9.0, "log")])
def test_a_wide_range_of_losses_is_logarithmic(spread, scale):
    losses = np.linspace(spread, 1.0, 30)
    sdt, *_ = charts(planted_history(test_sdt_loss=losses, train_loss=losses))
    assert sdt.y.scale == scale


def test_json_has_the_plan_and_every_number():
    run = planted_history(switch="tet@20")
    (record,) = records([run])
    assert list(record)[:6] == ["checkpoint", "best_epoch", "planned_epochs", "stages", "switch", "loss"]
    assert record["test_accuracy"] == run.test_accuracy.tolist() and record["epoch"] == run.epoch.tolist()
    assert record["loss"] == ["sdt"] * 20 + ["tet"] * 10 and "loss_index" not in record
