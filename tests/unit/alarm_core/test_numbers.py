"""Phone numbers: one form to dial, and no machine ever calls 110, 119, 120 or 122 (Beijing B7)."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alarm_core.numbers import NumberError, dialable, is_emergency, masked

EMERGENCY = ("110", "119", "120", "122", "112", "12395")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("13900000001", "13900000001"),
        (" 139 0000 0001 ", "13900000001"),
        ("139-0000-0001", "13900000001"),
        ("+86 139 0000 0001", "13900000001"),
        ("0086 13900000001", "13900000001"),
        ("86 13900000001", "13900000001"),
        ("021-6437 0001", "02164370001"),
        ("(021) 64370001", "02164370001"),
        ("（021）64370001", "02164370001"),
        ("021\u201164370001", "02164370001"),
        ("400 800 1234", "4008001234"),
        ("+1 650 253 0000", "0016502530000"),
        ("13900000001".translate(WIDE), "13900000001"),
        ("13900000001".translate(ARABIC), "13900000001"),
    ],
)
def test_however_it_is_written_it_has_one_form_to_dial(written: str, dialled: str) -> None:
    assert dialable(written) == dialled
    assert dialable(dialled) == dialled


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "12",
        "1390000000",
        "139000000011",
        "99900000001",
        "64370001 # 2",
        "13900000001,110",
        "13900000001p110",
        "13900000001;ext=110",
        "call me",
        "13900000001\r\nAction: Originate",
        "13900000001@evil",
        "SIP/110",
        "++",
        "13900000001/13800000002",
        "8001",
    ],
)
def test_what_is_no_number_is_refused_with_a_reason_that_does_not_repeat_it(written: str) -> None:
    with pytest.raises(NumberError) as error:
        dialable(written)
    assert len(str(error.value)) > 10
    assert not written.strip() or written not in str(error.value)


def test_short_internal_numbers_are_for_duty_phones_only() -> None:
    assert dialable("8001", extensions=True) == "8001"
    with pytest.raises(NumberError):
        dialable("8001")


@pytest.mark.parametrize("extensions", [False, True])
@pytest.mark.parametrize("number", EMERGENCY)
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        " {} ",
        "0{}",
        "9{}",
        "1{}",
        "+86{}",
        "+86 {}",
        "+86-{}",
        "86{}",
        "0086{}",
        "0086 {}",
        "021{}",
        "0571-{}",
        "010 {}",
        "+86 021 {}",
        "0086 0571 {}",
        "({})",
        "（{}）",
        "tel:{}",
    ],
)
def test_an_emergency_number_is_never_dialable(number: str, form: str, extensions: bool) -> None:
    written = form.format(number)
    assert is_emergency(written)
    with pytest.raises(NumberError, match="emergency" if ":" not in form else "."):
        dialable(written, extensions=extensions)


@pytest.mark.parametrize("number", ["110", "119", "120", "122"])
@pytest.mark.parametrize("spread", ["{0} {1} {2}", "{0}-{1}-{2}", "{0}.{1}.{2}", "{0}\u2013{1}{2}", "{0}\u200b{1}{2}"])
def test_an_emergency_number_is_seen_through_what_stands_between_its_digits(number: str, spread: str) -> None:
    written = spread.format(*number)
    assert is_emergency(written)
    with pytest.raises(NumberError):
        dialable(written, extensions=True)


@pytest.mark.parametrize("number", ["110", "119", "120"])
@pytest.mark.parametrize("digits", [WIDE, ARABIC], ids=["full-width", "arabic"])
def test_an_emergency_number_in_other_digits_is_not_dialable(number: str, digits: dict[int, int]) -> None:
    written = number.translate(digits)
    assert is_emergency(written)
    for form in (written, f"+86{written}", "0" + written):
        with pytest.raises(NumberError):
            dialable(form, extensions=True)


@pytest.mark.parametrize("written", ["9１１0", "86１１０", "0１１０", "9１２０", "１２２"])
def test_an_emergency_number_in_mixed_digits_is_seen(written: str) -> None:
    assert is_emergency(written)


def test_an_extension_in_mixed_digits_is_stored_in_plain_ones() -> None:
    assert dialable("8００１", extensions=True) == "8001"


plain_digits = st.text("0123456789", max_size=8)
noise = st.sampled_from(["", " ", "-", "+", "+86", "0086", "021", "0571", "9", "0", "（", "）", "."])


@settings(max_examples=1500, deadline=None)
@example(["110", "001", "0", "12395"], False)
@given(st.lists(st.one_of(noise, plain_digits, st.sampled_from(EMERGENCY)), max_size=6), st.booleans())
def test_nothing_that_is_dialable_reaches_an_emergency_service(pieces: list[str], extensions: bool) -> None:
    try:
        number = dialable("".join(pieces), extensions=extensions)
    except NumberError:
        return
    assert number.isascii()
    assert number.isdigit()
    assert not is_emergency(number)
    assert number not in EMERGENCY
    assert dialable(number, extensions=extensions) == number


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=15))
def test_any_text_is_either_a_number_or_refused(text: str) -> None:
    try:
        number = dialable(text)
    except NumberError:
        return
    assert number.isascii()
    assert number.isdigit()


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(["130", "135", "138", "139", "150", "158", "186", "189"]), st.text("0123456789", min_size=8))
def test_a_mobile_is_never_taken_for_an_emergency_number(prefix: str, rest: str) -> None:
    mobile = prefix + rest[:8]
    assert not is_emergency(mobile)
    assert dialable(mobile) == dialable(f"+86 {mobile}") == mobile


@pytest.mark.parametrize("number", ["13900000110", "02164370120", "01064370119", "4008001120", "8110", "95110"])
def test_a_number_that_only_ends_like_one_is_no_emergency(number: str) -> None:
    assert not is_emergency(number)
    assert dialable(number, extensions=True) == number


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13900000001", "139****0001"),
        ("02164370001", "021****0001"),
        ("0016502530000", "001******0000"),
        ("64370001", "******01"),
        ("8001", "**01"),
        ("800", "*00"),
        (None, None),
    ],
)
def test_a_number_is_shown_with_its_middle_hidden(number: str | None, shown: str | None) -> None:
    assert masked(number) == shown


@given(st.text("0123456789", min_size=3, max_size=16))
def test_some_digits_of_a_number_are_always_hidden(number: str) -> None:
    shown = masked(number)
    assert shown is not None
    assert len(shown) == len(number)
    assert sum(c.isdigit() for c in shown) <= 7
    assert "*" in shown
