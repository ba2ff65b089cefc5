"""`python -m tests.bench [--only N …] [--quick] [--json FILE]`: five figures, each as a ratio to the bare thing."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
from pathlib import Path

from service.runtime.__main__ import state_folder
from service.runtime.errors import PrivateRuntimeError
from tests.bench.report import Figure, document, table
from tests.bench.rig import Rig

_MODULES = {1: "publish_to_invite", 2: "intake", 3: "lateness", 4: "contact_calls", 5: "takeover"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def run(numbers: list[int], *, quick: bool) -> list[Figure]:
    """Measure one figure after another on servers that are started once."""
    from tests.bench import contact_calls

    rig = Rig(state_folder())
    figures = []
    try:
        await rig.start(say, extensions=contact_calls.EXTENSIONS)
        for number in numbers:
            began = time.monotonic()
            say(f"figure {number}: {_MODULES[number].replace('_', ' ')} …")
            module = importlib.import_module(f"tests.bench.{_MODULES[number]}")
            figures.append(await module.measure(rig, quick=quick))
            say(f"figure {number}: {time.monotonic() - began:.0f} s")
    finally:
        await rig.stop()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", type=int, nargs="+", choices=sorted(_MODULES), default=sorted(_MODULES))
    parser.add_argument("--quick", action="store_true", help="fewer samples: under two minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    chosen = parser.parse_args()
    try:
        figures = asyncio.run(run(chosen.only, quick=chosen.quick))
    except PrivateRuntimeError as problem:
        say(f"careline: {problem}")
        return 1
    print(table(figures))
    if chosen.json:
        chosen.json.write_text(document(figures, quick=chosen.quick) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
