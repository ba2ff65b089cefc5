"""Wiring only: settings, HTTP API, workers, command line, the private runtime."""
