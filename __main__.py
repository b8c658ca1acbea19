"""``python -m tetviz``, and ``torchrun -m tetviz train``, of whose processes the first one speaks for all."""

import contextlib
import io
import os
import sys
import time

from tetviz.cli import main

# How long the others wait for the first, which says what is wrong too and whose end ends them.
SECONDS_TO_SPEAK = 20


def in_silence() -> None:
    """Runs the command without a word; what it would have said of an error, if the first process has none."""
    said, code = io.StringIO(), 0
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(prog_name="tetviz")
    except SystemExit as end:
        code = int(end.code or 0)
    if code in (1, 2):
        time.sleep(SECONDS_TO_SPEAK)
        sys.stderr.write(said.getvalue())
    sys.exit(code)


if __name__ == "__main__":
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ["RANK"] != "0":
        in_silence()
    main(prog_name="tetviz")
