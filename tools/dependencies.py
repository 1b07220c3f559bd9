"""Prints the dependencies of pyproject.toml for installers that cannot read it.

`--conda` prints environment.yml; `--no-deps` prints the packages to install without their dependencies.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HEADER = """\
# Written by `make environment` from pyproject.toml; tests/test_project.py compares the two.
# conda env create -f environment.yml && conda activate deocc
# python -m pip install --no-deps -e . {no_deps}
name: deocc
channels:
  - conda-forge
dependencies:
  - python>=3.11,<3.15
  - pip
  - pip:
"""


def read_project() -> dict:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def conda_environment(project: dict) -> str:
    """The text of environment.yml: the run-time and development dependencies, pip's own strings."""
    requirements = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"]
    header = HEADER.format(no_deps=" ".join(project["tool"]["deocc"]["no-deps"]))
    return header + "".join(f'      - "{requirement}"\n' for requirement in requirements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--conda", action="store_true", help="print environment.yml")
    choice.add_argument("--no-deps", action="store_true", help="print packages to install with --no-deps")
    if parser.parse_args().conda:
        print(conda_environment(read_project()), end="")
    else:
        print("\n".join(read_project()["tool"]["deocc"]["no-deps"]))


if __name__ == "__main__":
    main()
