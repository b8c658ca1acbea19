"""A share of the kills of ``make soak``: what was killed goes on, and ends in the files of a run that was not."""

import sys
from collections import Counter

import pytest

if sys.platform != "linux":
    pytest.skip("needs fork and /proc", allow_module_level=True)

import soak


def test_killed_commands_go_on_to_the_same_files() -> None:
    kills: Counter[str] = Counter()
    assert list(soak.findings(30, ["train", "landscape", "scale"], kills=kills)) == []
    assert kills["struck"] == 30 and kills[".lock"] >= 5
