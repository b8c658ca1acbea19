"""What other libraries say, as part of a line."""

import io

import numpy as np
import pytest

from tetviz.errors import DataError, reason


def test_the_reason_of_an_error_of_files_is_that_of_the_system() -> None:
    assert reason(PermissionError(13, "Permission denied", "pickles.npz")) == "Permission denied"
    assert reason(ValueError("pickles.npz ends too early\nmore")) == "pickles.npz ends too early"


def test_how_objects_could_be_loaded_all_the_same_is_not_told() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError) as caught:
        np.load(io.BytesIO(file.getvalue()))
    assert reason(caught.value) == "it holds Python objects, or is damaged"


def test_bytes_of_a_file_that_a_library_quotes_are_cut() -> None:
    said = reason(ValueError("header " + "x" * 10**6))
    assert said.startswith("header xxx")
    assert len(said) < 400


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    said = str(DataError("a.pt: holds \x1b[31m\n" + "9" * 5000 + "; get another copy"))
    assert said.startswith("a.pt: holds \\x1b[31m\\n999")
    assert said.endswith("999; get another copy")
    assert len(said) < 2000
