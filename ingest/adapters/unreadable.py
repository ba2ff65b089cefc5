"""The one error an adapter raises."""

from __future__ import annotations


class Unreadable(Exception):  # noqa: N818 (it says what the payload is)
    """A payload that an adapter cannot understand.

    `reason` is a short code (the label of a counter, so never text of the payload): "not_json", "too_large",
    "bad_field", "not_understood". `detail` says to a person what is wrong. `field` names the field, if it is one.
    `dangerous=True`: the adapter knows that the message reports danger, although it cannot say which; otherwise
    `ingest.danger` looks at the payload.
    """

    def __init__(self, reason: str, detail: str, *, field: str | None = None, dangerous: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.field = field
        self.dangerous = dangerous
