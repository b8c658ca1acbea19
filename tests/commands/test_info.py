"""``tetviz info``: all that a file holds, as text or as one JSON object."""

from pathlib import Path

import pytest
from cli_runs import strict_json, tetviz

from tetviz.models import ModelSpec, build
from tetviz.training import Checkpoint, load_data


def test_info_is_one_json_object(tmp_path: Path) -> None:
    data = load_data("digits", split="test")
    spec = ModelSpec("snn5", 10, data.in_channels, data.image_size, 0.0625)
    path = tmp_path / "tet.pt"
    history = [{"epoch": 1, "test_accuracy": float("nan")}]
    Checkpoint(spec, build(spec).state_dict(), 2, data=data.spec.to_dict(), history=history, epoch=1).save(path)
    found = strict_json(tetviz("info", path, "--json").stdout)
    assert found["format"] == "tetviz-checkpoint" and found["model"]["name"] == "snn5" and found["timesteps"] == 2
    assert found["data"]["name"] == "digits" and found["measured"] == {"epoch": 1, "test_accuracy": None}

    tetviz("scale", path, "--samples", 8, "--tmax", 2)
    found = strict_json(tetviz("info", tmp_path / "tet.scale.h5", "--json").stdout)
    assert (found["format"], found["kind"]) == ("tetviz-result", "scaling") and found["attributes"]["t_train"] == 2
    assert found["provenance"]["data_settings"]["name"] == "digits" and len(found["provenance"]["request"]) == 64
    assert found["arrays"]["accuracy"]["shape"] == {"timestep": 2} and found["points"] == 0


def test_what_an_older_file_lacks_is_not_listed() -> None:
    older = Path(__file__).parents[1] / "data" / "results-v0.1" / "energy.h5"
    arrays = strict_json(tetviz("info", older, "--json").stdout)["arrays"]
    assert "mac" in arrays and "active_inputs" not in arrays


@pytest.mark.parametrize("kind", ["energy", "curvature"])
def test_files_that_lack_later_arrays_are_told_of(kind: str) -> None:
    older = Path(__file__).parents[1] / "data" / "results-v0.1" / f"{kind}.h5"
    assert (
        "active_inputs" not in tetviz("info", older).stdout
        and "repeat_density" not in tetviz("info", older, "--json").stdout
    )
