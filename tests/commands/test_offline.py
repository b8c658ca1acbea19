"""No command asks the network for anything; a report that is served is reached from this machine alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Python tells of every socket that it makes, however it is made, in helper processes too.
AUDITED = """
import os, socket, sys

def audit(event, arguments):
    if event == "socket.__new__":
        told = arguments[1] in (socket.AF_INET, socket.AF_INET6) and "socket"
    elif event == "socket.gethostname":  # which asks this machine alone
        told = ""
    else:
        told = event.startswith("socket.") and f"{event} {arguments[1] if event == 'socket.bind' else arguments}"
    if told:
        with open(os.environ["SEEN"], "a") as seen:
            print(told, file=seen)

sys.addaudithook(audit)
"""
SESSION = """
import sys
from tetviz.cli import main

for line in sys.stdin.read().splitlines():
    main(line.split(), standalone_mode=False)
"""
COMMANDS = """
train --data digits --width 0.05 --epochs 1 --timesteps 2 -o tet.pt
doctor tet.pt
info tet.pt
landscape tet.pt --loss tet --grid 3 --samples 20 --allow-chance
scale tet.pt --tmax 2 --samples 20
energy tet.pt --samples 20
plot tet.scale.h5 -o figure.pdf
export tet.landscape.h5 --to csv -o surface.csv
report tet.landscape.h5 tet.scale.h5 tet.energy.h5
""".strip()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(AUDITED)
    return {**os.environ, "PYTHONPATH": str(hooks), "SEEN": str(tmp_path / "seen"), "OMP_NUM_THREADS": "1"}


def seen(folder: Path) -> list[str]:
    path = folder / "seen"
    return path.read_text().splitlines() if path.exists() else []


def test_what_the_tests_look_for_is_seen(tmp_path: Path, environment: dict[str, str]) -> None:
    asked = "import socket; socket.socket(); socket.getaddrinfo('127.0.0.1', 80); socket.socketpair()"
    subprocess.run([sys.executable, "-c", asked], env=environment, check=True)
    assert [line.split()[0] for line in seen(tmp_path)] == ["socket", "socket.getaddrinfo"]


def test_a_session_opens_no_socket(tmp_path: Path, environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SESSION],
        input=COMMANDS,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "report.html").exists() and seen(tmp_path) == []


def test_a_page_is_served_to_this_machine_alone(tmp_path: Path, environment: dict[str, str]) -> None:
    served = tmp_path / "results"
    served.mkdir()
    command = [sys.executable, "-c", SESSION]
    running = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin is not None and running.stderr is not None
    running.stdin.write("report --watch results --port 0\n")
    running.stdin.close()
    assert running.stderr.readline().startswith("http://127.0.0.1:")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0
    running.stderr.close()
    assert seen(tmp_path) == ["socket", "socket.bind ('127.0.0.1', 0)"]
