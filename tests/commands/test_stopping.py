"""A command that is stopped, doubled, or out of memory: what it says, leaves and ends with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import refused, run, tetviz

from tetviz import analysis
from tetviz.results import Surface, holding, load

TRAIN = ("train", "--data", "digits", "--width", 0.0625, "--timesteps", 1, "--epochs", 1)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "tet.pt"
    tetviz(*TRAIN, "-o", path)
    return path


def started(*args: Any, folder: Path, **how: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from tetviz.cli import main; main()", *map(str, args)]
    return subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        **how,
    )


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_a_command_and_its_workers_ends_them_quietly(
    how: signal.Signals, code: int, net: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    target, asked = tmp_path / "o.h5", ("--grid", 51, "--samples", 200, "--allow-chance", "--workers", 2)
    running = started("landscape", net, *asked, "-o", target, folder=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (target.exists() and load(target, Surface).done.any()) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(running.pid, how)  # as a terminal does, and a batch system
    _, said = running.communicate(timeout=60)
    *before, plan, last = said.splitlines()
    assert running.returncode == code and before.pop(0).startswith(f"{net}: L_SDT"), said
    assert all(line.startswith("warning: ") for line in before), said
    assert "2 workers: about" in plan and last.startswith("stopped; every finished point is in"), said
    assert {path.name for path in tmp_path.iterdir()} == {"o.h5"}
    with pytest.raises(ProcessLookupError):  # nothing of it is left, once Python's own tracker has seen its end
        for _ in range(100):
            os.killpg(running.pid, 0)
            time.sleep(0.2)


@pytest.mark.parametrize(("asked", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_end_stops_a_measurement_that_says_how_to_go_on(
    asked: str, code: int, net: Path, tmp_path: Path
) -> None:
    target = tmp_path / "o.h5"
    measured = ("landscape", net, "--grid", 51, "--samples", 200, "--allow-chance", "-o", target)
    # pytest may itself run under nohup, which children inherit.
    running = started(*measured, folder=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    deadline = time.monotonic() + 120
    while not (target.exists() and load(target, Surface).done.any()) and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(getattr(signal, asked))
    _, said = running.communicate(timeout=60)
    assert running.returncode == code and "every finished point is in" in said and "Traceback" not in said
    assert load(target, Surface).done.any()
    assert {path.name for path in tmp_path.iterdir()} == {"o.h5"}


@pytest.mark.parametrize(("asked", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_falls_into_a_destructor_is_not_lost(
    asked: str, code: int, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Held:
        def __del__(self) -> None:
            os.kill(os.getpid(), getattr(signal, asked))

    def endless(*_: Any, **__: Any) -> None:
        Held()
        for _ in range(6000):
            time.sleep(0.01)

    monkeypatch.setattr("tetviz.analysis.compute_scaling", endless)
    stopped = run("scale", net, "--tmax", 2, "--samples", 10, "-o", tmp_path / "o.h5")
    assert stopped.exit_code == code and stopped.stderr.splitlines()[-1] == "stopped", stopped.output
    assert not list(tmp_path.iterdir())


def test_a_terminal_that_is_closed_stops_nothing_under_nohup(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = analysis.compute_scaling

    def closed(*args: Any, **settings: Any) -> Any:
        os.kill(os.getpid(), signal.SIGHUP)
        return measure(*args, **settings)

    monkeypatch.setattr("tetviz.analysis.compute_scaling", closed)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        tetviz("scale", net, "--tmax", 2, "--samples", 10, "-o", tmp_path / "o.h5")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "o.h5").exists()


def test_the_second_command_on_an_output_is_refused(net: Path, tmp_path: Path) -> None:
    target = tmp_path / "o.h5"
    with holding(target.absolute()):
        line = refused(tmp_path, "scale", net, "--tmax", 2, "--samples", 10, "-o", target)
        assert f"process {os.getpid()} on" in line and "--wait" in line
        assert "is writing it" in refused(tmp_path, "landscape", net, "--allow-chance", "-o", target)
    tetviz("scale", net, "--tmax", 2, "--samples", 10, "-o", target, "--wait")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")]
)
def test_a_full_memory_is_one_line_that_says_what_to_lower(
    error: BaseException, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("tetviz.commands.movable.measure", full)
    line = refused(tmp_path, "landscape", net, "-o", tmp_path / "o.h5")
    assert line == "Error: this machine is out of memory; lower --batch-size, --samples or --grid"


def test_a_wall_clock_is_no_part_of_a_result(net: Path, tmp_path: Path) -> None:
    tetviz("landscape", net, "--grid", 3, "--samples", 10, "--allow-chance", "-o", tmp_path / "o.h5")
    assert "time" not in {check for check, _, _ in load(tmp_path / "o.h5").provenance.doctor}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of files differ")
@pytest.mark.parametrize("command", ["landscape", "scale", "energy", "train"])
def test_a_full_disk_is_one_line_and_leaves_nothing(command: str, net: Path, tmp_path: Path) -> None:
    import resource

    given = {
        "landscape": (net, "--grid", 3, "--samples", 10, "--allow-chance", "-o", "o.h5"),
        "scale": (net, "--tmax", 2, "--samples", 10, "-o", "o.h5"),
        "energy": (net, "--tmax", 2, "--samples", 10, "-o", "o.h5"),
        "train": (*TRAIN[1:], "-o", "o.pt"),
    }[command]
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, {resource.RLIM_INFINITY}))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; from tetviz.cli import main; main()", command, *map(str, given)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = ended.stderr.strip().splitlines()
    assert ended.returncode == 1 and "cannot be written (File too large)" in lines[-1], ended.stderr
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_a_file_says_does_not_command_a_terminal(net: Path, tmp_path: Path) -> None:
    content = torch.load(net, weights_only=True)
    content["training"]["loss"] = "\x1b[31mtet\x07"
    content["training"]["more"] = "a\nb"
    torch.save(content, tmp_path / "a.pt")
    result = run("info", tmp_path / "a.pt")
    assert result.exit_code == 0 and "\x1b" not in result.output and "\x07" not in result.output
    assert r"\x1b[31mtet\x07" in result.output and r"a\nb" in result.output
    (tmp_path / "c.toml").write_text('"\\u001b[31m" = 3\n')
    refused(tmp_path, "scale", net, "--config", tmp_path / "c.toml", code=2)
