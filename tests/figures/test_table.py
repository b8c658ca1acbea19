from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted_results import planted_curve
from wording import refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_named, format_table, to_markdown
from tetviz.summaries import step_accuracy_table


def test_accuracies_and_variances_of_planted_steps():
    # Beyond training 80, 82, 84, 86 %: mean 83, squared deviations 9 + 1 + 1 + 9, over n - 1 = 3.
    steps = [0.1, 0.2, 0.3, 0.4, 0.80, 0.82, 0.84, 0.86]
    frame = step_accuracy_table([planted_curve(tmax=8, step_accuracy=steps)])
    assert list(frame.columns) == ["T_train", *(f"t={t}" for t in range(1, 9)), "var 5..8", "var 1..8"]
    assert frame.index.tolist() == ["VGGSNN TET"]
    np.testing.assert_allclose(frame.loc["VGGSNN TET", "t=1":"t=8"].astype(float), 100 * np.array(steps))
    assert frame["var 5..8"].item() == pytest.approx(20 / 3)
    assert frame["var 1..8"].item() == pytest.approx(np.var(100 * np.array(steps), ddof=1))


def test_steps_after_the_table_do_not_count():
    steps = np.concatenate([np.full(8, 0.5), np.linspace(0, 1, 56)])
    frame = step_accuracy_table([planted_curve(step_accuracy=steps)])
    assert frame["var 5..8"].item() == 0 and frame["var 1..8"].item() == 0


def test_rows_with_another_training_t_have_their_own_steps():
    steps = [0.0, 0.0, 0.0, 0.9, 0.5, 0.5, 0.5, 0.5]
    frame = step_accuracy_table([planted_curve(tmax=8, t_train=t, step_accuracy=steps, label=f"T={t}") for t in (3, 4)])
    assert frame["var T_train+1..8"].tolist() == pytest.approx([320.0, 0.0])
    assert frame["T_train"].tolist() == [3, 4]


def test_the_table_is_as_long_as_training_asks_and_the_run_allows():
    assert "t=20" in step_accuracy_table([planted_curve(t_train=10)])
    assert "t=21" not in step_accuracy_table([planted_curve(t_train=10)])
    short = step_accuracy_table([planted_curve(tmax=6)])
    assert list(short.columns[-3:]) == ["t=6", "var 5..6", "var 1..6"]


def test_a_table_that_ends_before_training_does_has_no_variance_beyond_it():
    frame = step_accuracy_table([replace(planted_curve(tmax=2, t_train=1), t_train=6)])
    assert list(frame.columns) == ["T_train", "t=1", "t=2", "var 1..2"]
    mixed = step_accuracy_table([planted_curve(tmax=4, t_train=4, label="a"), planted_curve(tmax=4, t_train=2)])
    assert "var T_train+1..4" in mixed and np.isnan(mixed.loc["a", "var T_train+1..4"])
    assert "var 5..4" not in step_accuracy_table([planted_curve(tmax=4, t_train=4)])


def test_without_a_training_t_there_is_no_variance_beyond_it():
    table = draw_named("table4", [planted_curve(tmax=8, t_train=0)])
    assert [column for column in table.frame if column.startswith("var")] == ["var 1..8"]
    assert table.cells()["trained at T"].tolist() == ["-"]


def test_what_was_not_measured_is_missing():
    frame = step_accuracy_table(
        [planted_curve(label="a"), planted_curve(label="b", tmax=6), planted_curve(label="c", t_train=0)]
    )
    assert frame.loc["b"].isna().tolist() == [False] * 7 + [True] * 4
    assert np.isnan(frame.loc["c", "var T_train+1..8"]) and not np.isnan(frame.loc["c", "var 1..8"])
    one_beyond = step_accuracy_table([planted_curve(tmax=5)])
    assert np.isnan(one_beyond["var 5..5"].item())


def test_nothing_to_tabulate_is_refused():
    with refuses(ResultError, "scaling curve"):
        step_accuracy_table([])


FRAME = pd.DataFrame(
    {"T_train": [4, 10], "t=1": [9.0, 71.256], "var": [float("nan"), 0.084]},
    index=pd.Index(["SDT", "TET | long"], name="network"),
)


def test_plain_text_has_fixed_columns():
    assert format_table(FRAME).splitlines() == [
        "network     T_train    t=1   var",
        "SDT               4   9.00     -",
        "TET | long       10  71.26  0.08",
    ]


def test_markdown_has_a_cell_for_each_value():
    assert to_markdown(FRAME).splitlines() == [
        "| network | T_train | t=1 | var |",
        "| :--- | ---: | ---: | ---: |",
        "| SDT | 4 | 9.00 | - |",
        r"| TET \| long | 10 | 71.26 | 0.08 |",
    ]
