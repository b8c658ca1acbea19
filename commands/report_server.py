"""The page of ``tetviz report``: written to a file, or served and drawn again as the results in a folder grow."""

import errno
import hashlib
import ipaddress
import socket
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import urlsplit

import click

from tetviz.commands.console import Terminated, exit_code, note
from tetviz.errors import OutputError, TetvizError
from tetviz.figures.report.blocks import Source
from tetviz.figures.report.page import TITLE, read_source, read_sources, render_report
from tetviz.figures.report.sections import Memory
from tetviz.results import write_whole
from tetviz.results.contents import digest_of

SUFFIXES = (".h5", ".hdf5")


class Watched:
    """The results under a folder, read again when they change.

    Points are written into a file in place, by which neither its size nor always its date changes, so a result that is
    not complete is known by its content.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self._folder, self._title = folder, title
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[tuple[int, int, int], str, Source | str]] = {}
        self._drawn = ("", b"")
        self._memory: Memory = {}

    def state(self) -> str:
        """What the folder holds now."""
        with self._lock:
            return self._look()

    def page(self) -> bytes:
        """The page of what the folder holds now."""
        with self._lock:
            state = self._look()
            if state != self._drawn[0]:
                found = [found for _, _, found in self._known.values()]
                page = render_report(
                    [each for each in found if isinstance(each, Source)],
                    title=self._title,
                    watching=str(self._folder),
                    state=state,
                    unread=[each for each in found if isinstance(each, str)],
                    memory=self._memory,
                )
                self._drawn = state, page.encode("utf-8", "backslashreplace")
            return self._drawn[1]

    def _look(self) -> str:
        found = {}
        for path in self._files():
            try:
                found[path] = self._read(path)
            except OSError:  # gone meanwhile, or not ours to read
                continue
        self._known = found
        texts = [f"{path}\n{digest}" for path, (_, digest, _) in found.items()]
        return hashlib.sha256("\n".join(texts).encode("utf-8", "backslashreplace")).hexdigest()

    def _files(self) -> list[Path]:
        # Files of the folder itself: no pipes, no devices, and no links to what lies elsewhere.
        folder = self._folder.resolve()
        named = (path for path in folder.rglob("*") if path.suffix in SUFFIXES and not path.name.startswith("."))
        found = [path for path in named if path.is_file() and path.resolve().is_relative_to(folder)]
        return sorted(self._folder / path.relative_to(folder) for path in found)

    def _read(self, path: Path) -> tuple[tuple[int, int, int], str, Source | str]:
        status = path.stat()
        stamp = status.st_size, status.st_mtime_ns, status.st_ino
        before = self._known.get(path)
        if before and before[0] == stamp and (isinstance(before[2], str) or _is_complete(before[2])):
            return before
        digest = digest_of(path)
        if before and before[1] == digest:
            return stamp, digest, before[2]
        try:
            source = read_source(path)
        except TetvizError as error:
            changed = digest_of(path) != digest  # while it was read: look again
            return (-1, -1, -1) if changed else stamp, digest, str(error)
        return stamp, source.sha256, source


def _is_complete(source: Source) -> bool:
    done, total = source.result.progress()
    return done == total


class ReportServer(ThreadingHTTPServer):
    """Shows one page, to browsers that ask this machine by its address.

    A page of another site that a browser has open must not read results by naming this machine otherwise (DNS
    rebinding): the host asked for must be an address, ``localhost`` or the one served at.
    """

    daemon_threads = True
    # On some systems two servers could share a port that way.
    allow_reuse_port = False

    def __init__(self, watched: Watched, host: str, port: int) -> None:
        self.watched, self.host = watched, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Takes the address as it is: HTTPServer would ask a name server what it is called."""
        TCPServer.server_bind(self)

    @property
    def address(self) -> str:
        """Where the page is."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.server_address[1]}/"

    @property
    def is_local(self) -> bool:
        """Whether it is reached from this machine alone."""
        return ipaddress.ip_address(str(self.server_address[0]).partition("%")[0]).is_loopback

    def knows(self, host: str) -> bool:
        """Whether a request may ask for that host."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        # A host and a port, and nothing else: no user, path or query, nothing beside the brackets of an address.
        if host.lower() not in (rebuilt := f"[{name}]" if ":" in name else name, f"{rebuilt}:{port}"):
            return False
        if name in ("localhost", self.host.lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    server_version, sys_version = "tetviz", ""
    timeout = 60

    def do_GET(self) -> None:
        """Answers with the page or with the state of what it shows; there is nothing else."""
        path = urlsplit(self.path).path
        if not self.server.knows(self.headers.get("Host", "")):
            self._answer(HTTPStatus.FORBIDDEN, b"this page is not served under that name\n", "text/plain")
        elif path == "/":
            self._answer(HTTPStatus.OK, self.server.watched.page(), "text/html")
        elif path == "/state":
            self._answer(HTTPStatus.OK, self.server.watched.state().encode(), "text/plain")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there is one page, at /\n", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a browser asks every second."""

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            for name, value in {
                "Content-Type": f"{kind}; charset=utf-8",
                "Content-Length": str(len(content)),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Cross-Origin-Resource-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the browser has closed the page
            self.close_connection = True


def write_report(files: Sequence[Path], target: Path, title: str | None = None) -> int:
    """Writes the report of some files; gives its length."""
    page = render_report(read_sources(files), title=title or TITLE)
    write_whole(target, page.encode("utf-8", "backslashreplace"))  # a file name may be no UTF-8
    return len(page)


def watch(folder: Path, host: str, port: int, title: str | None) -> None:
    """Serves the report of a folder until it is stopped."""
    try:
        server = ReportServer(Watched(folder, title or TITLE), host, port)
    except (OSError, TypeError) as error:  # bind refuses letters that no name of a machine has by a TypeError
        cure = "--host must be an address of this machine, such as 127.0.0.1"
        if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EADDRINUSE:
            cure = "choose another --port, or 0 for a free one"
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{host}:{port}: cannot be served at ({reason}); {cure}") from error
    if not server.is_local:
        note(f"warning: whoever reaches {host} over the network can read these results")
    note(f"{server.address} shows the results under {folder}; Ctrl-C stops")
    try:
        server.serve_forever()
    except KeyboardInterrupt as stop:
        note("stopped")
        if isinstance(stop, Terminated):
            raise click.exceptions.Exit(exit_code(stop)) from None
    finally:
        server.server_close()
