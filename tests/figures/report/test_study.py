"""The page of a study, for a browser and as Markdown."""

from pathlib import Path

import pandas as pd
from planted_results import planted_curve

from tetviz.figures import draw_scaling
from tetviz.figures.report.study import study_html, study_markdown
from tetviz.figures.study import Part, Shown
from tetviz.figures.table import Table

TABLE = Table(pd.DataFrame({"seeds": ["5"]}, index=pd.Index(["accuracy <b>"], name="finding")), note="A note")


def parts() -> list[Part]:
    return [
        Part("Verdicts", ("Planted.", ""), ("A sentence.", Shown("verdicts", TABLE))),
        Part("Figure 8", (), (Shown("fig8", draw_scaling([planted_curve()])),)),
    ]


def test_the_page_has_all_parts_and_draws_nothing_by_program() -> None:
    page = study_html(parts(), "A study", "3 results")
    assert page.count("<section") == 2
    assert "accuracy &lt;b&gt;" in page
    assert "<svg" in page and "max-width" in page
    assert 'class="origins"' not in page
    assert len(page) < 1_000_000


def test_markdown_has_the_same_and_pictures_beside_it(tmp_path: Path) -> None:
    text = study_markdown(parts(), "A study", "3 results", tmp_path)
    assert text.startswith("# A study\n\n3 results.\n\n## Verdicts\n\nPlanted.\n\nA sentence.\n\nA note\n\n| finding |")
    assert "](fig8.png)" in text
    assert (tmp_path / "fig8.png").stat().st_size > 1000
