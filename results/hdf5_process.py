"""The process that opens HDF5 files which are not known to be whole, with a limit of time and memory for each."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from tetviz.results import hdf5_reader

# One thread, for each takes memory of its own, and no filters but those of libhdf5.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}


class Reader:
    """Asks a process of its own what a file holds; it is started when it is needed, and again when it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
        """The description of a file, as :func:`tetviz.results.hdf5_reader.answer` gives it, and the arrays behind it.

        Args:
            request: the arguments of that function, and seconds of the processor.
            seconds: how long it may take; where it takes longer, the description is an ``error``.
        """
        with self._lock:
            process = self._running()
            assert process.stdin and process.stdout
            timer = threading.Timer(seconds, _end, [process])
            timer.start()
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
                found = json.loads(line) if line.startswith(b"{") else {}
                arrays = found.get("arrays", {}).values()
                packed = process.stdout.read(sum(array.get("size", 0) for array in arrays))
                ended = process.stdout.readline() if found else line
            except OSError:
                found, packed, ended = {}, b"", b""
            finally:
                timer.cancel()
        if ended != b"0\n":
            slow = not ended or int(ended) == -getattr(signal, "SIGXCPU", 0)
            reason = f"it came to no end within {seconds:.0f} s" if slow else "libhdf5 broke down"
            return {"error": reason}, b""
        return found, packed

    def _running(self) -> "subprocess.Popen[bytes]":
        # A process that was forked must not talk to the reader of the one that it comes from.
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            # -P: the folder of the script holds modules of common names. A session of its own: Ctrl-C is not for it.
            self._process = subprocess.Popen(
                [sys.executable, "-P", hdf5_reader.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ENVIRONMENT,
                start_new_session=True,
            )
            self._owner = os.getpid()
        return self._process

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        _end(process)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    # With what it has forked.
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


READER = Reader()
atexit.register(READER.close)
