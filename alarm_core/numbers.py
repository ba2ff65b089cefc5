"""Phone numbers: one dialable form for each, and the block on emergency numbers.

A machine never calls 110, 119, 120 or 122 (Beijing B7): a person at a seat does. The block is applied where numbers
are entered, and again where calls are placed.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers
from phonenumbers import PhoneNumberFormat, shortnumberinfo

_REGION = "CN"
_EMERGENCY = ("110", "119", "120", "122", "112", "12395")
# A prefix for an outside line, a country code or an area code in front still reaches the emergency service.
_EMERGENCY_DIALLED = re.compile(rf"(?:(?:\+|00)?86)?(?:[019]|0\d{{2,3}})?(?:{'|'.join(_EMERGENCY)})")
_EMERGENCY_REFUSED = "an emergency number (110, 119, 120 …) is never called by a machine: a person at a seat does it"
_EXTENSION = re.compile(r"[1-9]\d{2,5}")


class NumberError(ValueError):
    """A phone number that cannot be used; the text says why and what is wanted, without the number itself."""


def is_emergency(number: str) -> bool:
    """Whether dialling these characters would reach the police, the fire brigade or an ambulance."""
    digits = re.sub(r"[^\d+]", "", _plain(number))
    if _EMERGENCY_DIALLED.fullmatch(digits):
        return True
    bare = digits.removeprefix("+86")
    return len(bare) <= 6 and shortnumberinfo.connects_to_emergency_number(bare, _REGION)


def dialable(text: str, *, extensions: bool = False) -> str:
    """The one form in which a number is stored and dialled: digits only, national form, `00` in front of foreign ones.

    `extensions` allows short internal numbers of 3 to 6 digits (duty phones). Raises NumberError.
    """
    cleaned = re.sub(r"[\s\-().\u2010-\u2015]", "", _plain(text))
    if not cleaned:
        raise NumberError("the number is empty")
    if is_emergency(cleaned):
        raise NumberError(_EMERGENCY_REFUSED)
    if extensions and _EXTENSION.fullmatch(cleaned):
        return cleaned
    if not re.fullmatch(r"\+?\d+", cleaned):
        raise NumberError("the number holds something other than digits, spaces, dashes and a leading +")
    try:
        parsed = phonenumbers.parse(cleaned, _REGION)
    except phonenumbers.NumberParseException as error:
        raise NumberError(
            "not a phone number: write 11 digits, or area code and number, or + and country code"
        ) from error
    if not phonenumbers.is_valid_number(parsed):
        raise NumberError("not a number that exists in the numbering plan: check the digits")
    if parsed.country_code == 86:
        number = re.sub(r"\D", "", phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL))
    else:
        number = "00" + phonenumbers.format_number(parsed, PhoneNumberFormat.E164).removeprefix("+")
    if is_emergency(number):  # a prefix that the library took off may have hidden it
        raise NumberError(_EMERGENCY_REFUSED)
    return number


def _plain(text: str) -> str:
    """Digits and signs of any script as plain ones: １１０ is 110."""
    normal = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in normal)


def masked(number: str | None) -> str | None:
    """The number as it may be shown and logged: first three and last four digits (short ones: last two)."""
    if number is None:
        return None
    if len(number) < 9:
        return "*" * max(len(number) - 2, 1) + number[-2:]
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"
