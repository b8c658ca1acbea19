"""How far long work is: lines in a log, at most one for each tenth of it and each half minute."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from cli_runs import tetviz

from tetviz.commands.progress import ProgressLines, TrainingProgress, counting, progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(seconds_a_step: float, steps: int, done: int = 0) -> Iterator[tuple[int, ProgressLines, Clock]]:
    clock = Clock()
    lines = ProgressLines("tet", steps, done, clock)
    for step in range(done + 1, steps + 1):
        clock.now += seconds_a_step
        yield step, lines, clock


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_long_work_says_each_tenth_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    for step, lines, _ in lines_of(seconds_a_step=36, steps=100):
        lines.update(step)
    found = said(capsys)
    assert len(found) == 9 and found[0] == "tet: 10 % (10 of 100), 54 min left"
    assert found[-1] == "tet: 90 % (90 of 100), 6 min left"


def test_quick_work_says_no_more_than_a_line_each_half_minute(capsys: pytest.CaptureFixture[str]) -> None:
    for step, lines, _ in lines_of(seconds_a_step=1, steps=100):
        lines.update(step)
    assert [line.split(",")[0] for line in said(capsys)] == [
        "tet: 30 % (30 of 100)",
        "tet: 60 % (60 of 100)",
        "tet: 90 % (90 of 100)",
    ]
    for step, lines, _ in lines_of(seconds_a_step=0.2, steps=100):
        lines.update(step)
    assert not said(capsys)


def test_work_that_goes_on_tells_the_time_of_what_it_does_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for step, lines, _ in lines_of(seconds_a_step=60, steps=100, done=80):
        lines.update(step)
    assert said(capsys) == ["tet: 90 % (90 of 100), 10 min left"]


def test_no_terminal_gives_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressLines, "SECONDS", 0.0)
    with progress("tet", 4) as update:
        update(2)
    with counting("sdt", 40) as advance:
        advance(10)
        advance(20)
    assert [re.sub(r", .*", "", line) for line in said(capsys)] == [
        "tet: 50 % (2 of 4)",
        "sdt: 25 % (10 of 40)",
        "sdt: 75 % (30 of 40)",
    ]
    monitor = TrainingProgress()
    monitor.on_start(0, 2)
    for batch in range(5):
        monitor.on_batch(batch, 5, 0.5)
    monitor.on_end()
    assert said(capsys)[0].startswith("training: 10 % (1 of 10)")


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress("tet", 4) as update:
        update(2)
    assert "tet:" not in capsys.readouterr().err


def test_help_is_printed_without_progress() -> None:
    assert tetviz("scale", "--help").stderr == ""
