"""Sentences that tests hear: tests/data/sentences.txt has those of each test; a test names the words that tell them.

After a wanted change: ``WORDING=write pytest`` with the tests that fail, then ``python tests/support/wording.py`` sorts
the file, and read the difference in git. The whole suite writes it anew where it is removed first.
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
    (r"\b_io\.open\b", "io.open"),
    (r"np\.bytes_\((b'[^']*')\)", r"\1"),
    (r"line \d+ column \d+ \(char \d+\)", "line N"),
    (r"-?\d+\.\d{3,}(?:e[-+]?\d+)?|-?\d(?:\.\d+)?e[-+]?\d+", "0.000"),
    (r"(?<=Measured with tetviz )[^ ]+\.$", "VERSION."),
    (r"about [\d.,]+ (?:ms|s|min|h|days?)\b", "about DURATION"),
)
WRITES = os.environ.get("WORDING") == "write"


def read_known() -> dict[str, set[str]]:
    """The sentences of every test."""
    known: dict[str, set[str]] = {}
    for line in SENTENCES.read_text(encoding="utf-8").splitlines() if SENTENCES.exists() else ():
        test, _, sentence = line.partition("\t")
        known.setdefault(test, set()).add(sentence)
    return known


known = read_known()


def running() -> str:
    """The test that runs, without what stands before it in the path."""
    return os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0].removeprefix("tests/")


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
    """Holds that each sentence of a text is one that the test knows, and that it has all of some words; gives it."""
    holds(text, words)
    test = running()
    of_test = known.setdefault(test, set())
    new = [each for each in dict.fromkeys(sentences(text)) if each not in of_test]
    if new and WRITES:
        of_test.update(new)
        with SENTENCES.open("a", encoding="utf-8") as file:  # a line at once, since several processes write
            file.write("".join(f"{test}\t{each}\n" for each in new))
        new = []
    near = [(each, *difflib.get_close_matches(each, of_test, 1)) for each in new]
    assert not new, "unknown, beside the nearest of this test:\n" + "\n\n".join("\n".join(pair) for pair in near)
    return text


@contextmanager
def refuses(error: type[Exception], words: str = "") -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Holds that a block raises an error of one line that is known and has all of some words."""
    with pytest.raises(error) as caught:
        yield caught
    assert len(str(caught.value).splitlines()) == 1, caught.value
    heard(str(caught.value), words)


if __name__ == "__main__":
    lines = {f"{test}\t{sentence}" for test, every in known.items() for sentence in every}
    SENTENCES.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
