"""Writes docs/gallery/index.md from the scripts beside it; with --check, exits 1 where the page is stale.

With --pictures FOLDER it first takes the pictures and the printed lines that the scripts left there: run each as
``python docs/gallery/NAME.py > NAME.txt`` in a folder that holds the sdt.pt and tet.pt of ``tetviz demo``. Pictures are
stored in 256 colours, 1080 dots wide, which makes them a third of the size.
"""

import ast
import sys
from pathlib import Path

from PIL import Image

GALLERY = Path(__file__).resolve().with_name("gallery")
PAGE = GALLERY / "index.md"
WIDTH = 1080
ORDER = (
    "train",
    "doctor",
    "surface",
    "figure2",
    "sharpness",
    "interpolate",
    "connect",
    "trajectory",
    "scale",
    "exit",
    "own_data",
    "energy",
    "cost_model",
    "training_energy",
    "isometry",
    "spikingjelly_network",
    "snntorch_network",
    "report",
)
HEADER = """\
# Gallery

Written by `docs/generate_gallery.py` from the scripts in `docs/gallery`; do not edit it. Each script stands alone.
Those that load `sdt.pt` or `tet.pt` take the two networks that this leaves in the folder `demo`:

```
tetviz demo demo
```

Run a script in that folder. The pictures and the printed lines below are what the scripts gave there, on 359 or fewer
digits: they show what tetviz does, and little about losses.
"""


def render() -> str:
    """The page.

    Returns:
        Markdown, a section for each script.
    """
    return "\n".join([HEADER, *map(_section, ORDER)])


def _section(name: str) -> str:
    text = (GALLERY / f"{name}.py").read_text(encoding="utf-8")
    title, _, story = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
    code = text.split('"""', 2)[2].strip()
    parts = [f"## {title.removesuffix('.')}", story, f'```py title="{name}.py"\n{code}\n```']
    printed, picture = GALLERY / f"{name}.txt", GALLERY / f"{name}.png"
    if printed.exists():
        parts.append(f"```text\n{printed.read_text(encoding='utf-8').rstrip()}\n```")
    if picture.exists():
        parts.append(f"![{title.removesuffix('.')}]({picture.name})")
    return "\n\n".join(parts) + "\n"


def take_pictures(folder: Path) -> None:
    """Copies what the scripts left in a folder into the gallery.

    Args:
        folder: where they ran.
    """
    for name in ORDER:
        printed, picture = folder / f"{name}.txt", folder / f"{name}.png"
        if printed.exists() and printed.stat().st_size:
            (GALLERY / printed.name).write_text(printed.read_text(encoding="utf-8"), encoding="utf-8")
        if picture.exists():
            with Image.open(picture) as image:
                size = (WIDTH, round(image.height * WIDTH / image.width))
                small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(256)
                small.save(GALLERY / picture.name, optimize=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            PAGE.write_text(render(), encoding="utf-8")
        case ["--check"]:
            if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != render():
                sys.exit(f"{PAGE.name} is stale: run docs/generate_gallery.py")
        case ["--pictures", folder]:
            take_pictures(Path(folder))
            PAGE.write_text(render(), encoding="utf-8")
        case _:
            sys.exit("usage: generate_gallery.py [--check | --pictures FOLDER]")
