"""A share of the fuzzing of ``make fuzz``: mutated files are read, or refused in a line."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("limits of processes differ", allow_module_level=True)

import fuzz


@pytest.mark.parametrize("name", fuzz.READERS)
def test_mutated_files_are_read_or_refused(name: str) -> None:
    assert list(fuzz.findings(name, 0, 6)) == []
