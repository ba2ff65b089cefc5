"""`python -m service.runtime setup | run SERVER…`: make the private root; run servers alone.

`run` is what the containers of docker/compose.yaml do: postgres and mosquitto, each alone,
until SIGTERM.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from service.runtime.errors import PrivateRuntimeError
from service.runtime.ports import Ports
from service.runtime.private import PrivateRuntime
from service.runtime.root import ensure_root


def state_folder() -> Path:
    """CARELINE_STATE, or .careline in the checkout."""
    return Path(os.environ.get("CARELINE_STATE") or Path(__file__).parents[2] / ".careline")


def say(text: str) -> None:
    """Progress goes to standard error: standard output belongs to --json."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- a command's output


async def run(servers: list[str]) -> None:
    """Run the named servers until SIGTERM or SIGINT."""
    runtime = PrivateRuntime(state_folder(), "careline", Ports.from_environment())
    if "postgres" in servers:
        runtime.use_postgres()
    if "mosquitto" in servers:
        runtime.use_mosquitto()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await runtime.start(say)
    try:
        await stopped.wait()
    finally:
        await runtime.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m service.runtime")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="make the private root")
    runs = commands.add_parser("run", help="run servers alone")
    runs.add_argument("server", nargs="+", choices=("postgres", "mosquitto"))
    chosen = parser.parse_args()
    try:
        if chosen.command == "setup":
            ensure_root(state_folder(), say)
            say("set-up is complete")
        else:
            asyncio.run(run(chosen.server))
    except PrivateRuntimeError as problem:
        say(f"careline: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
