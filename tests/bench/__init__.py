"""Benchmarks: each figure beside the bare thing in the same run, as a ratio. `python -m tests.bench`."""
