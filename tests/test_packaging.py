"""The wheel holds the package, whole, and nothing else; it says which commit it is of, and reads well beside none."""

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import setuptools
import yaml
from packaging.version import Version

import tetviz
from tetviz.results import Provenance

ROOT = Path(tetviz.__file__).resolve().parent
NOT_SHIPPED = ("tests", "docs", "benchmarks")


def git_files() -> list[str]:
    """Files of the working tree, tracked or not, that git does not ignore."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout: the wheel is compared with what git lists")
    run = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({name for name in run.stdout.split("\0") if name and (ROOT / name).exists()})


def shipped_source(names: list[str]) -> set[str]:
    """The .py files that are the package: those at the root and those in folders of code."""
    return {
        name
        for name in names
        if name.endswith(".py") and not name.startswith(".") and name.split("/")[0] not in (*NOT_SHIPPED, "setup.py")
    }


def packages() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[str] = settings["tool"]["setuptools"]["packages"]
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built, without network, from a repository that holds a copy of the working tree."""
    copy, out = tmp_path_factory.mktemp("tetviz-main"), tmp_path_factory.mktemp("wheel")
    for name in git_files():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "A copy"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy, capture_output=True, text=True, check=True).stdout
    (file,) = out.glob("*.whl")
    assert file.name.split("-")[1].partition("+g")[2] == commit[:9]
    return file


@pytest.fixture(scope="module")
def wheel(built: Path) -> list[str]:
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_every_importable_file_ships(wheel: list[str]) -> None:
    in_wheel = {name.removeprefix("tetviz/") for name in wheel if name.endswith(".py")}
    assert in_wheel == shipped_source(git_files())


def test_only_the_package_ships(wheel: list[str], built: Path) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert top == {"tetviz", f"tetviz-{built.name.split('-')[1]}.dist-info"}
    inside = {name.split("/")[1] for name in wheel if name.startswith("tetviz/")}
    assert not inside & set(NOT_SHIPPED)


def test_the_type_marker_and_the_licence_ship(wheel: list[str]) -> None:
    assert "tetviz/py.typed" in wheel
    assert any(name.endswith("/licenses/LICENSE") for name in wheel)
    assert any(name.endswith("/entry_points.txt") for name in wheel)


def test_every_folder_of_code_is_listed() -> None:
    folders = {str(Path(name).parent) for name in git_files() if name.endswith("/__init__.py")}
    listed = {name.removeprefix("tetviz.").replace(".", "/") for name in packages() if name != "tetviz"}
    assert folders == listed


def test_no_folder_of_code_lacks_its_init() -> None:
    for name in shipped_source(git_files()):
        folder = Path(name).parent
        assert str(folder) == "." or (ROOT / folder / "__init__.py").exists(), name


def test_no_stray_modules_at_the_root() -> None:
    # every .py at the root enters the wheel, whatever the settings say
    at_root = {name for name in git_files() if name.endswith(".py") and "/" not in name}
    assert at_root <= {"__init__.py", "__main__.py", "cli.py", "errors.py", "setup.py"}


def test_tests_are_no_package() -> None:
    assert not [name for name in git_files() if name.startswith("tests/") and name.endswith("__init__.py")]


def test_the_entry_point_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["scripts"] == {"tetviz": "tetviz.cli:main"}
    assert (ROOT / "cli.py").exists()


RELATIVE = re.compile(r"\]\((?!https?:|#)")


def test_an_index_page_shows_no_link_that_leads_nowhere(built: Path) -> None:
    with zipfile.ZipFile(built) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode())
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert text.startswith("# tetviz")
    assert not RELATIVE.findall(text)


def test_with_an_address_the_index_page_shows_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    written = runpy.run_path(str(ROOT / "setup.py"))["for_an_index"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = written(readme, "https://example.org/tetviz")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert pictures
    assert all(re.match(r"https://example\.org/tetviz/raw/HEAD/docs/.*\.png$", picture) for picture in pictures)
    assert page.count("](") == readme.count("](")
    assert not RELATIVE.findall(page)


def test_the_version_is_that_of_the_commit() -> None:
    git_files()
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    local = Version(tetviz.__version__).local or ""
    assert re.match(rf"g{head[:9]}(\.|$)", local)
    assert Provenance().tetviz_version == tetviz.__version__


def test_a_folder_without_git_has_a_version(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run = [sys.executable, "-m", "setuptools_scm"]
    found = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert Version(found).is_devrelease


def test_it_can_be_cited() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert citation["license"] == settings["project"]["license"]
    assert citation.get("repository-code") == settings["project"].get("urls", {}).get("Repository")
