"""``tetviz doctor``: a good network passes, a sick one fails."""

import re
from pathlib import Path

import torch
from cli_runs import bytes_in, strict_json, tetviz
from moved_run import (
    SAMPLES,
)


def test_a_good_network_passes_the_doctor(tet: Path, tmp_path: Path) -> None:
    before = bytes_in(tet.parent)
    result = tetviz("doctor", tet, tet.with_name("other.pt"), *SAMPLES)
    assert result.stderr == "" and "failure" not in result.stdout and f"{tet}:" in result.stdout
    rows = strict_json(tetviz("doctor", tet, *SAMPLES, "--json").stdout)
    checks = ["repeatable", "finite", "above chance", "tied tensors", "reset gradient", "causal in t"]
    assert [row["check"] for row in rows][:6] == checks
    assert all(row["checkpoint"] == str(tet) and row["verdict"] in ("ok", "warning") for row in rows)
    for row in rows:
        if row["check"] in ("finite", "repeatable", "causal in t"):
            assert row["message"] in result.stdout
    assert bytes_in(tet.parent) == before


def test_a_sick_network_fails_the_doctor(tet: Path, tmp_path: Path) -> None:
    content = torch.load(tet, weights_only=True)
    content["state"] = {n: t * 0 if n.endswith("weight") else t for n, t in content["state"].items()}
    torch.save(content, tmp_path / "sick.pt")
    result = tetviz("doctor", tmp_path / "sick.pt", *SAMPLES, code=1)
    assert re.search(r"^failure +above chance +no better than chance", result.stdout, re.M)
    assert re.search(r"^(failure|warning) +spikes ", result.stdout, re.M)
    rows = strict_json(tetviz("doctor", tet, tmp_path / "sick.pt", *SAMPLES, "--json", code=1).stdout)
    assert {row["checkpoint"] for row in rows if row["verdict"] == "failure"} == {str(tmp_path / "sick.pt")}
    assert [path.name for path in tmp_path.iterdir()] == ["sick.pt"]
