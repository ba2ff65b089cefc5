"""The HTTP API, under `/api/v1`. Contract: docs/api.md and the OpenAPI document that it serves."""

from __future__ import annotations

from service.api.app import create_app
from service.api.context import ApiContext, Check

__all__ = ["ApiContext", "Check", "create_app"]
