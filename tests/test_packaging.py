"""The wheel holds the package, whole, and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import tetviz

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
        if name.endswith(".py") and not name.startswith(".") and name.split("/")[0] not in NOT_SHIPPED
    }


def packages() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[str] = settings["tool"]["setuptools"]["packages"]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built, without network, from a copy of the working tree."""
    copy, out = tmp_path_factory.mktemp("tetviz-main"), tmp_path_factory.mktemp("wheel")
    for name in git_files():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_every_importable_file_ships(wheel: list[str]) -> None:
    in_wheel = {name.removeprefix("tetviz/") for name in wheel if name.endswith(".py")}
    assert in_wheel == shipped_source(git_files())


def test_only_the_package_ships(wheel: list[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert top == {"tetviz", f"tetviz-{tetviz.__version__}.dist-info"}
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
    assert at_root <= {"__init__.py", "cli.py", "errors.py"}


def test_tests_are_no_package() -> None:
    assert not [name for name in git_files() if name.startswith("tests/") and name.endswith("__init__.py")]


def test_the_entry_point_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["scripts"] == {"tetviz": "tetviz.cli:main"}
    assert (ROOT / "cli.py").exists()
    assert (ROOT / settings["project"]["readme"]).exists()
