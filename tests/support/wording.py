"""Sentences that tests hear: each stands once, in tests/data/sentences.txt; a test names the words that tell it.

After a wanted change: ``WORDING=write pytest -n 0`` with the tests that fail, and read the difference in git.
"""

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SENTENCES = Path(__file__).parents[1] / "data" / "sentences.txt"
# What differs from run to run or between versions: folders, what others' code raised, long decimals, version, times.
VARIES = (
    (r"(?<![\w.])/(?:[^/\s:;,'\"]+/)+", ""),
    (r"([A-Z]\w+Error: ).*", r"\1..."),
    (r"-?\d+\.\d{3,}(?:e[-+]?\d+)?|-?\d(?:\.\d+)?e[-+]?\d+", "0.000"),
    (r"(?<=Measured with tetviz )[^ ]+\.$", "VERSION."),
    (r"about [\d.,]+ (?:ms|s|min|h|days?)\b", "about DURATION"),
)
WRITES = os.environ.get("WORDING") == "write"


def read_known() -> set[str]:
    """The sentences of the file."""
    return set(SENTENCES.read_text(encoding="utf-8").splitlines())


known = read_known()


def sentences(text: str) -> list[str]:
    """The sentences of a text without what varies, in order."""
    found = [part.strip() for line in text.splitlines() for part in re.split(r"(?<=[.?]) (?=[A-Z])", line)]
    for pattern, name in VARIES:
        found = [re.sub(pattern, name, each) for each in found]
    return [each for each in found if each]


def holds(text: str, words: str) -> None:
    """Holds that a text has all of some words, which blanks separate."""
    missing = [word for word in words.split() if word not in text]
    assert not missing, f"{missing} are not in: {text}"


def heard(text: str, words: str = "") -> str:
    """Holds that each sentence of a text is known, and that it has all of some words; gives the text."""
    holds(text, words)
    new = [each for each in sentences(text) if each not in known]
    if new and WRITES:
        known.update(new, read_known())
        SENTENCES.write_text("\n".join(sorted(known)) + "\n", encoding="utf-8")
        new = []
    near = [(each, *difflib.get_close_matches(each, known, 1)) for each in new]
    assert not new, "unknown, beside the nearest known:\n" + "\n\n".join("\n".join(pair) for pair in near)
    return text


@contextmanager
def refuses(error: type[Exception], words: str = "") -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Holds that a block raises an error of one line that is known and has all of some words."""
    with pytest.raises(error) as caught:
        yield caught
    assert len(str(caught.value).splitlines()) == 1, caught.value
    heard(str(caught.value), words)
