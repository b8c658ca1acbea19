"""The README as an index of packages shows it: beside no repository, where its links and pictures lead nowhere."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")


def for_an_index(readme: str, repository: str | None) -> str:
    """Links and pictures lead into the repository; without its address pictures go, and of links the words stay."""

    def rewritten(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if repository is None:
            return "" if picture else words
        return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/HEAD/{path})"

    return RELATIVE.sub(rewritten, readme)


project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
setup(
    script_name="setup.py",  # which is then no module of the package
    long_description=for_an_index(
        (ROOT / "README.md").read_text(encoding="utf-8"), project.get("urls", {}).get("Repository")
    ),
    long_description_content_type="text/markdown",
)
