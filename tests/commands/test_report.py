"""tetviz report: the page as a file, bad input, and the server of --watch."""

import dataclasses
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import run, tetviz
from planted_results import planted_curve, planted_history, planted_surface

from tetviz.commands.report_server import ReportServer, Watched
from tetviz.results import Surface, TrainingHistory, load, open_result, save
from tetviz.results.schema import array_fields


def report(*words: Any) -> Any:
    return run("report", *words)


@pytest.fixture
def surface(tmp_path: Path) -> Path:
    return save(tmp_path / "tet.landscape.h5", planted_surface(size=5))


def test_one_file_is_written_and_none_is_replaced_unasked(surface: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    curve = save(tmp_path / "tet.scale.h5", planted_curve(tmax=4))
    result = report(surface, curve, "-o", target, "--title", "Mine & yours")
    assert result.exit_code == 0, result.output
    page = target.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "<h1>Mine &amp; yours</h1>" in page
    assert {path.name for path in tmp_path.iterdir()} == {surface.name, curve.name, "report.html"}
    again = report(surface, "-o", target)
    assert again.exit_code == 1 and "exists already" in again.output and target.read_text(encoding="utf-8") == page
    assert report(surface, "-o", target, "--force").exit_code == 0


def test_a_file_named_like_a_script_is_text(tmp_path: Path) -> None:
    path = save(tmp_path / "<script>alert(1)<_script>.h5", planted_surface(size=3))
    assert report(path, "-o", tmp_path / "r.html").exit_code == 0
    assert "<script>alert" not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "darwin", reason="such names do not exist there")
def test_a_file_name_need_not_be_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"tet\xff.h5")
    save(path, planted_surface(size=3))
    result = report(path, "-o", tmp_path / "r.html")
    assert result.exit_code == 0, result.output


def test_bad_input_is_one_line(surface: Path, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "empty.h5").touch()
    for words, code, said in (
        ([], 2, "name result files"),
        ([surface, "--watch", tmp_path], 2, "not both"),
        (["--watch", tmp_path, "-o", "a.html"], 2, "leave out -o"),
        (["--watch", tmp_path / "nowhere"], 2, "does not exist"),
        (["--watch", tmp_path, "--host", ""], 2, "--host: is empty"),
        ([surface, "--port", 8765], 2, "name a folder"),
        ([surface, "--host", "127.0.0.1", "-o", tmp_path / "r.html"], 2, "name a folder"),
        ([tmp_path / "missing.h5", "-o", tmp_path / "r.html"], 1, "no such file"),
        ([surface, tmp_path / "text.h5", "-o", tmp_path / "r.html"], 1, "text.h5"),
        ([tmp_path / "empty.h5", "-o", tmp_path / "r.html"], 1, "empty.h5"),
        ([tmp_path, "-o", tmp_path / "r.html"], 1, f"{tmp_path}: is a folder"),
        ([surface, "-o", tmp_path / "r.pdf"], 1, ".html"),
        ([surface, "-o", tmp_path / "no" / "r.html"], 1, "does not exist"),
    ):
        result = report(*words)
        assert result.exit_code == code, result.output
        assert said in result.output and "Traceback" not in result.output
        assert len(result.output.strip().splitlines()[-1:]) == 1
    assert not (tmp_path / "r.html").exists()


def test_no_torch_is_loaded(surface: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tetviz.cli import main\n"
        f"try: main(['report', {str(surface)!r}, '-o', {str(tmp_path / 'r.html')!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'plotly' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


@pytest.fixture
def server(tmp_path: Path, surface: Path) -> Iterator[ReportServer]:
    started = ReportServer(Watched(tmp_path, "A run"), "127.0.0.1", 0)
    thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield started
    started.shutdown()
    started.server_close()
    thread.join()


def ask(server: ReportServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{server.server_address[1]}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_page_and_nothing_else_is_served(server: ReportServer, surface: Path) -> None:
    status, page = ask(server, "/")
    assert status == 200 and "VGGSNN TET" in page and 'data-state="' in page and "connect-src 'self'" in page
    for path in ("/tet.landscape.h5", "/../etc/passwd", "/report.html", "/state/", "/%2e%2e/"):
        assert ask(server, path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert ask(server, "/", method=method)[0] == 501
    assert server.is_local


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8765", "", "127.0.0.1.evil.example", "[::1", "a b"),
        *("user@127.0.0.1", "@localhost", "evil.example@127.0.0.1:8765", "127.0.0.1/x", "localhost?x", "localhost#x"),
        *("127.0.0.1:port", "127.0.0.1:99999"),
        *("[::1]evil.com", "[::1]evil.com:8765", "[localhost]"),
    ],
)
def test_other_names_of_this_machine_are_refused(server: ReportServer, host: str) -> None:
    for path in ("/", "/state"):
        status, text = ask(server, path, host)
        assert status == 403 and "TET" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8765"])
def test_addresses_are_not_refused(server: ReportServer, host: str) -> None:
    assert ask(server, "/state", host)[0] == 200


@pytest.mark.parametrize("host", ["a..b", "nowhere.invalid", "192.0.2.1", "\N{LATIN SMALL LETTER U WITH DIAERESIS}..b"])
def test_a_host_that_is_not_of_this_machine_is_what_is_named(tmp_path: Path, host: str) -> None:
    result = report("--watch", tmp_path, "--host", host, "--port", 0)
    assert result.exit_code == 1 and "--host must be an address of this machine" in result.stderr
    assert "--port" not in result.stderr


def test_a_port_that_is_taken_is_what_is_named(server: ReportServer, tmp_path: Path) -> None:
    result = report("--watch", tmp_path, "--port", server.server_address[1])
    assert result.exit_code == 1 and "choose another --port" in result.stderr and "--host" not in result.stderr


def test_the_state_changes_when_a_result_does_and_only_then(
    server: ReportServer, surface: Path, tmp_path: Path
) -> None:
    states = [ask(server, "/state")[1]]
    assert ask(server, "/state")[1] == states[0] and f'data-state="{states[0]}"' in ask(server, "/")[1]

    def changed() -> str:
        states.append(ask(server, "/state")[1])
        assert len(set(states)) == len(states)
        return ask(server, "/")[1]

    # A new result, half-written.
    growing = save(tmp_path / "sdt.h5", planted_surface(size=5, label="growing", done=np.eye(5)[None], plane_seed=1))
    assert "half-written: 5 of 25" in changed()
    # Written in place, with the date that it had: memory maps need not change it.
    before = growing.stat()
    with open_result(growing) as result:
        result.done[:] = 1  # type: ignore[attr-defined]
    os.utime(growing, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "half-written" not in changed()
    # The beginning of a file, which goes again, then a folder of results.
    (tmp_path / "half.h5").write_bytes(surface.read_bytes()[:3000])
    assert "Not shown" in changed()
    (tmp_path / "half.h5").unlink()
    assert ask(server, "/state")[1] == states[2] and "Not shown" not in ask(server, "/")[1]
    (tmp_path / "deep").mkdir()
    save(tmp_path / "deep" / "run.epochs.h5", planted_history())
    assert "Over training" in changed()
    (tmp_path / ".tet.h5.partial").write_text("x")
    (tmp_path / ".hidden.h5").write_text("x")
    assert ask(server, "/state")[1] == states[-1]


def test_files_that_vanish_and_grow_while_they_are_read(server: ReportServer, tmp_path: Path) -> None:
    whole = (tmp_path / "tet.landscape.h5").read_bytes()
    stop = threading.Event()

    def disturb() -> None:
        generator = np.random.default_rng(0)
        while not stop.is_set():
            path = tmp_path / f"{generator.integers(3)}.h5"
            path.write_bytes(whole[: generator.integers(len(whole) + 1)])
            if generator.random() < 0.5:
                path.unlink()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(8):
            assert ask(server, "/")[0] == 200 and ask(server, "/state")[0] == 200
    finally:
        stop.set()
        thread.join()


def test_an_empty_folder_has_a_page_too(tmp_path: Path) -> None:
    assert b"No result yet" in Watched(tmp_path, "A run").page()


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = report("--watch", tmp_path, "--port", port)
    assert result.exit_code == 1 and f"127.0.0.1:{port}: cannot be served at" in result.output
    assert "--port" in result.output


def test_an_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    result = report("--watch", tmp_path, "--port", 0, "--host", "192.0.2.1")
    assert result.exit_code == 1 and "192.0.2.1" in result.output and "Traceback" not in result.output


def test_it_says_where_it_is_and_stops_on_ctrl_c(tmp_path: Path, surface: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from tetviz.cli import main; main()",
        "report",
        "--watch",
        str(tmp_path),
        "--port",
        "0",
    ]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert running.stderr is not None
    line = running.stderr.readline()
    assert line.startswith("http://127.0.0.1:") and str(tmp_path) in line
    port = int(line.split("/")[2].split(":")[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/state")
    assert connection.getresponse().status == 200
    connection.close()
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    assert running.stderr.read().strip() == "stopped"
    running.stderr.close()


def test_a_surface_that_is_measured_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    done = np.zeros((1, 5, 5))
    path = save(tmp_path / "a.h5", dataclasses.replace(planted_surface(size=5), done=done))
    watched = Watched(tmp_path, "A run")
    assert b"no point has a finite value yet" in watched.page()
    with open_result(path) as result:
        result.done[0, 2, 2] = 1  # type: ignore[attr-defined]
    assert b"half-written: 1 of 25" in watched.page()
    assert load(path, Surface).progress() == (1, 25)


def test_a_training_and_a_measurement_leave_what_a_report_shows(tmp_path: Path) -> None:
    net = tmp_path / "net.pt"
    tetviz("train", "--data", "digits", "--width", 0.1, "--epochs", 2, "--timesteps", 1, "-o", net)
    written = load(tmp_path / "net.epochs.h5", TrainingHistory)
    tetviz("history", tmp_path / "net.last.pt")
    expected = load(tmp_path / "net.last.history.h5", TrainingHistory)
    for name in array_fields(TrainingHistory):
        np.testing.assert_array_equal(getattr(written, name), getattr(expected, name))
    assert written.provenance.checkpoint_sha256 == expected.provenance.checkpoint_sha256
    tetviz("landscape", net, "--grid", 3, "--samples", 20, "--allow-chance")
    found = load(tmp_path / "net.landscape.h5", Surface).provenance.doctor
    assert {"repeatable", "finite", "causal in t"} <= {check for check, _, _ in found}
    page = Watched(tmp_path, "A run").page().decode()
    assert "Over training" in page and "The loss around the network" in page
    assert "doctor are not recorded" not in page and "What tetviz doctor found" in page


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_nothing_in_a_folder_holds_it_up_or_leads_out_of_it(
    tmp_path: Path, surface: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tetviz.results.contents.SECONDS", 2.0)
    folder = tmp_path / "watched"
    folder.mkdir()
    save(folder / "good.h5", planted_surface(size=3, label="the good one"))
    os.mkfifo(folder / "pipe.h5")
    (folder / "zero.h5").symlink_to("/dev/zero")
    (folder / "loop.h5").symlink_to("loop.h5")
    (folder / "outside.h5").symlink_to(save(tmp_path / "secret.h5", planted_surface(size=3, label="the secret one")))
    (folder / "empty.h5").touch()
    content = bytearray(surface.read_bytes())
    content[4096:6144] = bytes(2048)
    (folder / "hole.h5").write_bytes(content)
    watched = Watched(folder, "A run")
    begin = time.monotonic()
    page = watched.page().decode()
    assert time.monotonic() - begin < 60
    assert "the good one" in page and "the secret one" not in page and "empty.h5" in page and "hole.h5" in page
    state = watched.state()
    begin = time.monotonic()
    assert watched.state() == state and time.monotonic() - begin < 1  # what is known is not asked again
