"""What training operations show: tables by layer, and the cost of a run in words."""

import numpy as np
import pytest
from planted_training import planted_training
from wording import heard

from tetviz.figures import Choices, draw_named, printed, records
from tetviz.figures.formatting import short
from tetviz.figures.registry import view_named
from tetviz.summaries.training import densities, run_energy, training_table


def test_the_training_table_adds_up_to_its_total():
    result = planted_training()
    frame = draw_named("training-table", [result]).frame.set_index("layer")
    for name, column in training_table(result).items():
        np.testing.assert_allclose(frame[f"{name} (nJ)"], column / 1e3)
    np.testing.assert_allclose(frame.loc["total", "FP (nJ)"], frame["FP (nJ)"].drop("total").sum())
    shares = 100 * densities(result)
    for name in shares:
        np.testing.assert_array_equal(frame[f"{name} (%)"].drop("total"), shares[name])


def test_both_tables_show_their_numbers_in_one_unit():
    results = [planted_training(label="a"), planted_training(label="b")]
    cells = draw_named("training-table", results).cells()
    assert cells["effective (nJ)"].tolist() == 2 * [short(pj / 1e3) for pj in training_table(results[0])["effective"]]
    shares = draw_named("density-table", results).cells()
    assert shares["FP and WU"].tolist() == 2 * ["MAC", "AC", "AC"] and shares.index.tolist() == [*"aaabbb"]
    assert shares["d_in (%)"].tolist() == 2 * ["100.0", "25.0", "25.0"] and shares["d_need (%)"].iloc[0] == "-"


def test_the_words_are_of_each_network():
    one = planted_training(normalised=12)
    said = view_named("training-energy").words([one], Choices()).said
    assert said[0].endswith("3.68 nJ for adam (500 parameters x 8 multiply-adds for a batch of 5)")
    assert "hardly any error is 0 (--bn batch)" in said[1] and "normalising 12 values a sample" in said[2]
    assert f"{run_energy(one):.4g} J if every epoch" in said[3] and said[3].endswith("batch norm a constant map")
    other = planted_training(label="b", bn="batch", stages=())
    said = view_named("training-energy").words([one, other], Choices()).said
    assert said[-1] == "b: the run: not recorded in the checkpoint" and said[0].startswith("VGGSNN TET: ")
    assert "not recorded" in printed([other])


def test_what_is_missing_is_told_with_the_tables():
    result = planted_training(not_counted=("fold: unknown",))
    heard(draw_named("training-table", [result]).caption, "incomplete unknown")
    assert "incomplete: fold: unknown" in printed([result])
    assert records([result])[0]["not_counted"] == ("fold: unknown",)


@pytest.mark.parametrize(
    ("bn", "words"), [("frozen", "BN as a constant map"), ("batch", "BN statistics of each batch")]
)
def test_the_context_says_the_price_and_the_batch_norm(bn, words):
    head = printed([planted_training(bn=bn)]).splitlines()[0]
    assert words in head and "45nm-fp32 (4.6 pJ a MAC, 0.9 pJ an AC)" in head and "T = 2" in head


def test_an_update_of_unknown_batches_has_no_energy_a_sample():
    said = view_named("training-energy").words([planted_training(train_batch_size=0)], Choices()).said
    assert said[0].endswith("for the neurons' backward pass")
