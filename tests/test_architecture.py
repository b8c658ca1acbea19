"""Who may import whom, what `import tetviz` loads, and the doctests of every module."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tetviz
from tetviz.figures.registry import VIEWS
from tetviz.results import KINDS

ROOT = Path(tetviz.__file__).resolve().parent
CODE = ("analysis", "commands", "figures", "landscape", "models", "results", "summaries", "training")
AT_ROOT = ("__init__.py", "cli.py", "errors.py")
FILES = sorted([*(ROOT / name for name in AT_ROOT), *(p for folder in CODE for p in (ROOT / folder).rglob("*.py"))])
NAMES = [str(path.relative_to(ROOT)) for path in FILES]

# part -> the parts it may import besides itself; a part is a folder or a module at the root
COMPUTE = {"models", "training", "results", "summaries", "errors"}
MAY_IMPORT = {
    "errors": set(),
    "results": {"errors"},
    "summaries": {"results", "errors"},
    "models": {"errors"},
    "training": {"models", "results", "errors"},
    "landscape": COMPUTE,
    "analysis": COMPUTE,
    "figures": {"results", "summaries", "errors"},
    "commands": {*COMPUTE, "landscape", "analysis", "figures"},
    "cli": {*COMPUTE, "landscape", "analysis", "figures", "commands"},
    "__init__": {*COMPUTE, "landscape", "analysis", "figures", "commands"},  # for type checkers alone, see below
}

# library -> where it may be imported
HOME_OF = {
    "h5py": ("results/",),
    "click": ("cli.py", "commands/"),
    "matplotlib": ("figures/",),
    "seaborn": ("figures/",),
    "plotly": ("figures/",),
}
# what says what results show, in numbers and words: whoever draws and prints asks it
PLAIN = ("view", "table", "curves", "printing", "formatting", "captions", "selection", "latex")
SHOWN = [n for n in NAMES if n.startswith("figures/views/") or n in [f"figures/{plain}.py" for plain in PLAIN]]
# what asks for the date, to write it down: no duration, lock or decision rests on a clock that may jump
DATED = {"figures/report/page.py", "results/locks.py", "results/schema.py"}
WALL_CLOCK = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
DRAWING = ("matplotlib", "seaborn", "plotly", "tetviz.figures.plots", "tetviz.figures.report")
TORCHLESS = ("errors.py", "results/", "summaries/", "figures/")


def part_of(name: str) -> str:
    return name.split("/")[0] if "/" in name else name.removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[str, int]]:
    """Every imported module, dotted, with its line; `from tetviz import x` and `tetviz.x` alone count as tetviz.x."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module == "tetviz":
                found += [(f"tetviz.{alias.name}", node.lineno) for alias in node.names]
            else:
                found.append((module, node.lineno))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tetviz":
            found.append((f"tetviz.{node.attr}", node.lineno))
    return found


def parsed(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), name)


def test_no_folder_of_code_is_forgotten() -> None:
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert folders <= set(CODE)
    assert {part_of(name) for name in NAMES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_one_way(name: str) -> None:
    part = part_of(name)
    allowed = MAY_IMPORT[part] | {part}
    for module, line in imports(parsed(name)):
        assert not module.startswith("."), f"{name}:{line}: relative import {module}"
        assert module.split(".")[0] not in MAY_IMPORT, f"{name}:{line}: write tetviz.{module}"
        if module.startswith("tetviz."):
            target = module.split(".")[1]
            if target == "__version__":
                continue
            assert target in allowed, f"{name}:{line}: {part} must not import {target}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("commands/", "cli"))])
def test_commands_import_at_the_top(name: str) -> None:
    functions = [node for node in ast.walk(parsed(name)) if isinstance(node, ast.FunctionDef)]
    inside = [node for function in functions for node in ast.walk(function)]
    assert not [node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)], name


@pytest.mark.parametrize("name", NAMES)
def test_libraries_stay_in_their_home(name: str) -> None:
    for module, line in imports(parsed(name)):
        library = module.split(".")[0]
        if library in HOME_OF:
            assert name.startswith(HOME_OF[library]), f"{name}:{line}: {library} belongs in {HOME_OF[library]}"
        if library in ("torch", "torchvision"):
            assert not name.startswith(TORCHLESS), f"{name}:{line}: no {library} here"


@pytest.mark.parametrize("name", SHOWN)
def test_what_results_show_is_said_without_drawing(name: str) -> None:
    for module, line in imports(parsed(name)):
        assert not module.startswith(DRAWING), f"{name}:{line}: no {module} here"


def test_every_view_is_held_to_it() -> None:
    modules = {path.partition(":")[0] for path in VIEWS.values()}
    assert modules <= {module_name(name) for name in SHOWN}


# What shows results of any kind: the views alone know kinds.
PRINTERS = [
    *(
        f"figures/{name}.py"
        for name in [
            "captions",
            "card",
            "curves",
            "doubts",
            "formatting",
            "latex",
            "output",
            "printing",
            "table",
            "view",
        ]
    ),
    *(f"figures/report/{name}.py" for name in ["blocks", "colours", "origins", "page", "plotly", "sections", "svg"]),
]
# In how many files a kind is named at most: 9 or 10 where it has no picture of its own, which is results, computation,
# summaries, view and command, the two lines of registry, the list of exports of its results and of its computation,
# and the list of commands. A word counts wherever it stands in quotes: lines is a mode of plotly and a local name,
# curvature a quantity of flatness. Those of more have pictures of their own (surface, scaling, energy, history,
# trajectory, training-energy) and more computations; early exit and runs of scaling curves have their own modules. A
# study has three: the claims and the figures that it makes of results, and the commands that it runs.
FILES_OF = {
    "surface": 23,
    "scaling": 21,
    "lines": 16,
    "energy": 19,
    "trajectory": 11,
    "sharpness": 13,
    "history": 13,
    "curvature": 11,
    "training-energy": 11,
    "isometry": 10,
}


@pytest.mark.parametrize("name", PRINTERS)
def test_printers_know_no_kind(name: str) -> None:
    kinds = {kind.__name__ for kind in KINDS.values()}
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.ImportFrom):
            assert not kinds & {alias.name for alias in node.names}, f"{name}:{node.lineno}"
        if isinstance(node, ast.Compare):
            compared = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
            assert not set(KINDS) & compared, f"{name}:{node.lineno}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_named_in_few_files(kind: str) -> None:
    word = re.compile(rf"\b{KINDS[kind].__name__}\b|[\"']{kind}[\"']")
    named = [str(path.relative_to(ROOT)) for path in FILES if word.search(path.read_text(encoding="utf-8"))]
    assert len(named) <= FILES_OF.get(kind, 9), named


@pytest.mark.parametrize("name", NAMES)
def test_only_checkpoints_touch_pickles(name: str) -> None:
    if name == "training/checkpoint.py":
        return
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
            assert node.attr not in ("load", "save"), f"{name}:{node.lineno}: torch.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "torch":
            taken = {alias.name for alias in node.names}
            assert not taken & {"load", "save"}, f"{name}:{node.lineno}: from torch import load or save"


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_short(name: str) -> None:
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{name} has {lines} lines; split it by subject"


@pytest.mark.parametrize("name", NAMES)
def test_no_catch_all(name: str) -> None:
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.ExceptHandler):
            caught = [n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)] if node.type else ["all"]
            assert not {"Exception", "BaseException", "all"} & set(caught), f"{name}:{node.lineno}"


def loaded_by(statement: str, folder: Path) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return {line.split("|")[-1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}


def test_importing_tetviz_is_light(tmp_path: Path) -> None:
    loaded = loaded_by("import tetviz; tetviz.__version__", tmp_path)
    assert "tetviz" in loaded
    heavy = {"torch", "numpy", "h5py", "pandas", "matplotlib", "scipy", "click"}
    assert not {module.split(".")[0] for module in loaded} & heavy


def test_reading_results_needs_no_torch(tmp_path: Path) -> None:
    loaded = loaded_by("import tetviz.results", tmp_path)
    assert "h5py" in loaded
    assert not {module.split(".")[0] for module in loaded} & {"torch", "matplotlib", "click"}


def test_subpackages_load_on_first_use() -> None:
    for name in tetviz.__all__:
        if name == "__version__" or (ROOT / name / "__init__.py").exists() or (ROOT / f"{name}.py").exists():
            assert getattr(tetviz, name) is not None
            assert name in dir(tetviz)
        else:
            pytest.fail(f"tetviz.__all__ names {name}, which does not exist")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tetviz.nonsense


@pytest.mark.parametrize("package", [name for name in NAMES if name.endswith("/__init__.py")])
def test_public_names_exist(package: str) -> None:
    module = importlib.import_module("tetviz." + package.removesuffix("/__init__.py").replace("/", "."))
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), f"{package}: __all__ names {name}"


def module_name(name: str) -> str:
    dotted = name.removesuffix(".py").replace("/", ".").removesuffix("__init__").removesuffix(".")
    return f"tetviz.{dotted}".removesuffix(".")


@pytest.mark.parametrize("name", NAMES)
def test_doctests(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(name))
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / name
    assert doctest.testmod(module).failed == 0


def test_the_wall_clock_is_asked_for_dates_alone() -> None:
    nodes = {name: list(ast.walk(parsed(name))) for name in NAMES}
    asked = {n: {ast.unparse(node) for node in every if isinstance(node, ast.Attribute)} for n, every in nodes.items()}
    assert {name for name, found in asked.items() if found & WALL_CLOCK} == DATED
    hidden = [n for n, every in nodes.items() for x in every if isinstance(x, ast.ImportFrom) and x.module == "time"]
    assert not hidden, "time.time and the like are called by their full names, which this test looks for"
