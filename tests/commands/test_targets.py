"""Where results go."""

from pathlib import Path

import click
import pytest
from wording import refuses

from tetviz.commands.targets import between_path, checkpoint_name, output_paths, overlay_path
from tetviz.errors import CheckpointError

A, B = Path("runs/a.pt"), Path("runs/b.pt")
KEPT = Path("runs/a.kept/epoch-0001.pt")


def test_a_kept_epoch_is_called_after_its_run() -> None:
    assert checkpoint_name(A) == "a" and checkpoint_name(KEPT) == "a epoch-0001"
    assert checkpoint_name(KEPT, "-") == "a-epoch-0001"


def test_results_stand_beside_the_checkpoints_or_where_asked(tmp_path: Path) -> None:
    assert output_paths((A, B), None, "scale") == [Path("runs/a.scale.h5"), Path("runs/b.scale.h5")]
    assert output_paths((A,), Path("x.nc"), "scale") == [Path("x.nc")]
    assert output_paths((A, KEPT), tmp_path, "lines") == [tmp_path / "a.lines.h5", tmp_path / "a-epoch-0001.lines.h5"]


@pytest.mark.parametrize(
    ("checkpoints", "output", "words"),
    [
        ((A, B), "x.h5", "-o: several"),
        ((A,), "x.png", "x.png .h5"),
        ((A, A), None, "twice"),
        ((A, Path("others/a.pt")), ".", "same name"),
    ],
)
def test_what_cannot_be_written_is_refused(checkpoints: tuple[Path, ...], output: str | None, words: str) -> None:
    with refuses(click.UsageError, words):
        output_paths(checkpoints, output and Path(output), "scale")


def test_a_pair_and_an_overlay_are_named_after_all(tmp_path: Path) -> None:
    assert between_path((A, B), None, "lines") == Path("runs/a-b.lines.h5")
    with refuses(CheckpointError, "folder"):
        output_paths((Path("/"),), None, "scale")
    with refuses(CheckpointError, "folder"):
        between_path((Path("/"), B), None, "lines")
    assert overlay_path((A,), None, "scale") is None
    assert overlay_path((A, KEPT), None, "scale") == Path("runs/a-a-epoch-0001.scale.h5")
    assert overlay_path((A, B), tmp_path, "scale") == tmp_path / "scale.h5"


@pytest.mark.parametrize(("length", "name"), [(40, f"{'n' * 40}-{'m' * 39}"), (41, f"{'n' * 41}-and-1-others")])
def test_a_long_name_counts_the_others(length: int, name: str) -> None:
    paths = Path(f"{'n' * length}.pt"), Path(f"{'m' * 39}.pt")
    assert overlay_path(paths, None, "scale") == Path(f"{name}.scale.h5")
