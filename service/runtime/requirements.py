"""Print the dependencies that pyproject.toml names: `python requirements.py FILE base|test`.

The launcher installs these, with the versions of constraints.txt. It does not install the
project itself, since that would write its build files into the checkout. Standard library only:
this runs before anything is installed.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: str, extras: str) -> list[str]:
    """The dependencies, with those of the `test` extra if that is asked for."""
    project = tomllib.loads(pyproject)["project"]
    names: list[str] = list(project["dependencies"])
    if extras == "test":
        names += project["optional-dependencies"]["test"]
    return names


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write("".join(f"{name}\n" for name in requirements(text, sys.argv[2])))
