"""`python -m service`: what the launcher runs."""

from __future__ import annotations

from service.cli import main

main(prog_name="careline")
