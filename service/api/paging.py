"""Lists are plain arrays; where more follows, the `Link` header names the next page (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Request, Response

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="entries on a page")]


def link_next(request: Request, response: Response, page: Sequence[object], limit: int, **mark: object) -> None:
    """Name the next page, if this one is full. `mark`: the query parameter with the last entry's key."""
    if len(page) < limit:
        return
    url = request.url.include_query_params(**mark)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
