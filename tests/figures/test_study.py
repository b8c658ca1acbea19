"""What the page of a study says."""

import dataclasses

import pytest
from planted_results import planted_surface
from planted_study import planted_accuracy, planted_study, trained

from tetviz.figures.study import Part, Shown, study_parts
from tetviz.figures.table import Table
from tetviz.results import Result
from tetviz.summaries.evidence import evidence_of


def whole_study() -> list[Result]:
    surfaces: list[Result] = [trained(planted_surface(), loss, 0) for loss in ("sdt", "tet")]
    return planted_study() + surfaces


@pytest.fixture(scope="module")
def parts() -> dict[str, Part]:
    return {part.title: part for part in study_parts(evidence_of(whole_study()), "Planted networks.")}


def cells(part: Part) -> Table:
    (table,) = [shown.it for shown in part.shown if isinstance(shown, Shown) and isinstance(shown.it, Table)]
    return table


def test_every_claim_and_every_figure_of_the_paper_has_a_part(parts: dict[str, Part]) -> None:
    titles = list(parts)
    assert titles[:3] == ["Verdicts", "More accurate", "More accurate at every step"]
    figures = [title.split(":")[0].split(",")[0] for title in titles[17:]]
    assert "Here: networks of seed 0." in parts["Figure 2: loss surfaces"].contexts
    assert figures == [f"Figure {n}" for n in ("2", "3", "4A", "4B", "5", "6", "7", "8")] + [
        f"Table {n}" for n in (1, 2, 3, 4)
    ]
    for title in titles[17:]:
        assert any(isinstance(shown, Shown) for shown in parts[title].shown), (title, parts[title].shown)


def test_a_claim_stands_with_its_interval_and_the_papers_size(parts: dict[str, Part]) -> None:
    row = cells(parts["More accurate"]).cells().loc["accuracy, TET minus SDT"]
    assert row["here"] == "10.2 [10.0, 10.4] (points)"
    assert row["claimed"] == "above 0"
    assert row["paper"] == "3.25"
    assert row["seeds for the paper's"] == "2"
    assert (
        parts["More accurate"].shown[0]
        == "Supported: every finding lies on the side that the paper says, adjusted p < 0.001."
    )


def test_the_verdicts_say_the_weakest_finding_of_each_claim(parts: dict[str, Part]) -> None:
    table = cells(parts["Verdicts"]).cells()
    assert len(table) == 16
    assert table.loc["More accurate at every step", "here"].startswith("7.50 [")  # 10.2 points less 0.9 times 3
    assert "Of 16 claims judged: " in str(parts["Verdicts"].shown[0])


def test_shorter_runs_are_explored_without_verdicts() -> None:
    short = [
        trained(dataclasses.replace(planted_accuracy(0.5 + 0.01 * n), t_train=2), loss, n, stages=["2:30"])
        for loss in ("sdt", "tet")
        for n in range(3)
    ]
    parts = {part.title: part for part in study_parts(evidence_of([*whole_study(), *short]), "")}
    part = parts["The same at T = 2, explored"]
    assert "No verdicts" in part.contexts[0]
    assert "verdict" not in cells(part).cells().columns


def test_what_is_not_there_is_said() -> None:
    made = [trained(planted_accuracy(0.5), "sdt", seed) for seed in range(3)]
    parts = {part.title: part for part in study_parts(evidence_of(made), "")}
    assert parts["More accurate"].shown == ("Not measured by this plan.",)
    assert parts["Figure 2: loss surfaces"].shown == ("Not measured by this plan.",)
