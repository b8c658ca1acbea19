"""Commands in processes of their own, which can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# A process that imports tetviz once and then forks for each line of arguments: it says the pid, then the exit code.
SERVER = """
import json, os, signal, sys, traceback
import torch, torch._dynamo
import tetviz.figures.plots.style
import tetviz.commands.movable, tetviz.commands.measure, tetviz.figures, tetviz.landscape, tetviz.analysis
from tetviz.cli import main
torch.set_num_threads(1)
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["folder"])
        for name, target in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), target)
        code = 99
        try:
            main(request["args"], prog_name="tetviz")
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


PATIENCE = 600  # seconds, also where many tests share a machine


class Server:
    """Runs commands in processes of their own that can be killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def run(self, folder: Path, *args: Any, stop: Callable[[], bool] | None = None, how: int = signal.SIGKILL) -> int:
        """The exit code; once stop() holds, the command gets the signal."""
        assert self.process.stdin and self.process.stdout
        request = {"folder": str(folder), "args": [str(arg) for arg in args]}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if stop is not None:
            deadline = time.monotonic() + PATIENCE
            while not (held := stop()) and Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.001)
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, how if held else signal.SIGKILL)
            code = int(self.process.stdout.readline())
            assert held or time.monotonic() < deadline, f"{args}: killed, its moment did not come in {PATIENCE} s"
            return code
        return int(self.process.stdout.readline())


@contextmanager
def serving() -> Iterator[Server]:
    """A server, until the block ends."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(process)
