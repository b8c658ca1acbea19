"""``tetviz sharpness``, ``line`` and ``compare``: numbers with intervals, and what differs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_runs import strict_json, tetviz
from click.testing import Result
from moved_run import (
    COMMANDS,
    NAMES,
    NOISE,
    SAMPLES,
    quantities,
    result_of,
    rise,
)
from planted_results import planted_sharpness

from tetviz.commands.console import print_results
from tetviz.results import Lines, Provenance, load


@pytest.mark.parametrize("name", ["sharpness", "line"])
def test_sharpness_and_line_print_what_they_store(
    name: str, tet: Path, measured: dict[str, Result], records: dict[str, Any]
) -> None:
    lines = result_of(name, tet)
    for loss in ("sdt", "tet"):
        values, rows = getattr(lines, f"{loss}_loss")[..., -1], quantities(records[name], loss)
        for r in (0.5, 1.0):
            mean = rise(values, lines.x, r)
            row = rows[f"rise at r = {r:g}"]
            assert row["mean"] == pytest.approx(mean, rel=1e-9)
            assert row["low"] <= row["mean"] <= row["high"]
            assert f"{mean:.4g}" in measured[name].stdout
        assert "rise at r = 0.1" not in rows  # no point of this grid
    if name == "sharpness":
        centre = lines.sdt_loss[0, 2, -1]
        rows = quantities(records[name], "sdt")
        assert rows["SAM at rho = 0.1"]["mean"] == pytest.approx(lines.sam_sdt_loss[1, -1] - centre, rel=1e-9)
        assert rows["SAM at rho = 0.1"]["low"] is None
        average = (lines.average_sdt_loss[:, 1, -1] - centre).mean()
        assert rows["average at rho = 0.1"]["mean"] == pytest.approx(average, rel=1e-9)


def test_where_no_difference_can_be_given_the_tables_are(capsys: pytest.CaptureFixture[str]) -> None:
    origins = (Provenance(label=name, network=name, checkpoint_sha256=name) for name in ("one", "other"))
    results = [replace(planted_sharpness(), provenance=origin) for origin in origins]
    why = "warning: no difference is given: the checkpoints were measured on a different network"
    print_results(results, as_json=False)
    printed = capsys.readouterr()
    assert "one: 1,024 samples" in printed.out and "\nother: 1,024 samples" in printed.out and why in printed.out
    print_results(results, as_json=True)
    printed = capsys.readouterr()
    assert why in printed.err and len(strict_json(printed.out)) == 2 * 2 * (3 * 4 + 3 + 2 * 3)


@pytest.mark.parametrize("name", ["sharpness", "line", "landscape"])
def test_the_same_network_twice_is_within_the_noise(name: str, run: Path, quick: Any) -> None:
    same = run.with_name("same.pt")
    table = tetviz(name, run, same, *COMMANDS[name][1:]).stdout
    (line,) = (line for line in table.splitlines() if re.match("L_(SDT|TET), rise at r = 0.5", line))
    assert NOISE in line and "same minus tet" in line and "flatter" not in line
    assert re.search("^tet: ", table, re.M) and re.search("^same: ", table, re.M)
    assert table.count("Means over 2 planes at T = 2") == 2
    kind = NAMES[name].split(".")[1]
    again = tetviz("compare", run.with_name(f"tet.{kind}.h5"), run.with_name(f"same.{kind}.h5"))
    assert set(again.stdout.splitlines()) <= set(table.splitlines())  # landscape prints its own numbers, too
    assert again.stderr == ""
    pairs = [row for row in strict_json(compare_json(run, kind)) if "first" in row]
    assert pairs and all(row["mean"] in (0, None) for row in pairs)
    (headline,) = (row for row in pairs if row["headline"])
    assert headline["quantity"] == "rise at r = 0.5" and headline["sentence"] in table


def compare_json(run: Path, kind: str) -> str:
    return tetviz("compare", *(run.with_name(f"{name}.{kind}.h5") for name in ("tet", "same")), "--json").stdout


def test_several_results_go_into_a_folder(run: Path, quick: Any) -> None:
    (run.parent / "out").mkdir()
    tetviz("line", run, run.with_name("early.pt"), *COMMANDS["line"][1:], "-o", run.parent / "out")
    names = {"tet.line.h5", "tet.line.png", "early.line.h5", "early.line.png"}
    assert {path.name for path in (run.parent / "out").iterdir()} == names
    assert not list(run.parent.glob("*.h5"))


def test_two_networks_are_compared_plane_by_plane(run: Path, quick: Any) -> None:
    rows = strict_json(tetviz("line", run, run.with_name("early.pt"), *COMMANDS["line"][1:], "--json").stdout)
    one, other = (load(run.with_name(f"{name}.line.h5"), Lines) for name in ("tet", "early"))
    (found,) = [row for row in rows if row.get("first") and (row["loss"], row["quantity"]) == ("sdt", "rise at r = 1")]
    assert (found["first"], found["second"], found["planes"]) == ("tet", "early", 2)
    gap = rise(other.sdt_loss[..., -1], other.x, 1.0) - rise(one.sdt_loss[..., -1], one.x, 1.0)
    assert found["mean"] == pytest.approx(gap, rel=1e-9)
    single = tetviz("compare", run.with_name("tet.line.h5"), "--t", 1).stdout
    assert "T = 1" in single and f"{rise(one.sdt_loss[..., 0], one.x, 0.5):.4g}" in single and "minus" not in single


def test_a_grid_without_one_half_still_gives_a_verdict(run: Path, quick: Any) -> None:
    table = tetviz("line", run, run.with_name("early.pt"), "--planes", 5, "--grid", 3, *SAMPLES).stdout
    assert "nan" not in table
    assert re.search(rf"^L_SDT, .*({NOISE}|flatter)", table, re.M)
