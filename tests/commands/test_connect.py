"""``tetviz connect``: the curve that it trains is kept, and taken for no other."""

import re
from pathlib import Path
from typing import Any

from cli_runs import bytes_in, tetviz
from click.testing import Result
from moved_run import (
    NAMES,
    command_of,
    last_line,
    same_datasets,
)

from tetviz.training import Checkpoint


def test_connect_keeps_its_curve(run: Path, tet: Path, measured: dict[str, Result], quick: Any) -> None:
    command, target = command_of("connect", run), run.with_name(NAMES["connect"])
    first = tetviz(*command).stderr
    middle = target.with_suffix(".pt")
    assert "training the curve for 1 epochs" in first and "epoch 1/1" in first and str(middle) in first
    settings = Checkpoint.load(middle).training
    assert settings["epochs"] == 1 and settings["loss"] == "sdt"
    same_datasets(target, tet.with_name(NAMES["connect"]))  # the same training
    curve = middle.read_bytes()
    for path in (target, target.with_suffix(".png")):
        path.unlink()
    before = bytes_in(run.parent)
    error = last_line(tetviz(*command, "--epochs", 2, "--seed", 5, code=1))
    assert "epochs (was 1, now 2)" in error and "seed (was 0, now 5)" in error and "--force" in error
    assert bytes_in(run.parent) == before
    again = tetviz(*command).stderr
    assert "training the curve" not in again and middle.read_bytes() == curve
    same_datasets(target, tet.with_name(NAMES["connect"]))
    assert re.search(r"training epochs +1", tetviz("info", middle).stdout)


def test_a_curve_between_other_networks_is_not_taken(
    run: Path, tet: Path, measured: dict[str, Result], quick: Any
) -> None:
    target = run.with_name(NAMES["connect"])
    middle = target.with_suffix(".pt")
    middle.write_bytes(tet.with_name(middle.name).read_bytes())
    result = tetviz(*command_of("connect", run))  # the folder was moved, the networks are the same
    assert "training the curve" not in result.stderr
    for path in (target, target.with_suffix(".png")):
        path.unlink()
    run.with_name("other.pt").write_bytes(run.with_name("early.pt").read_bytes())
    before = bytes_in(run.parent)
    error = last_line(tetviz(*command_of("connect", run), code=1))
    assert middle.name in error and "between" in error and "--force" in error
    assert bytes_in(run.parent) == before
