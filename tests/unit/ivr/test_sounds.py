"""The prompts that are shipped, and what the catalogue's loader finds wrong in a broken set."""

from __future__ import annotations

import array
import json
import math
import wave
from pathlib import Path

import pytest

from ivr.sounds import (
    PROMPTS,
    SPOKEN_KINDS,
    CatalogueError,
    Prompt,
    Spoken,
    load_catalogue,
    plain,
    sound_name,
)

CATALOGUE = load_catalogue()


def write_wave(path: Path, *, rate: int = 8000, channels: int = 1, width: int = 2, frames: int = 800) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(frames * channels * width))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A small valid set of two prompts."""
    (tmp_path / "zh-CN").mkdir()
    (tmp_path / "zh-CN.yaml").write_text("goodbye: {text: 再见。, en: Goodbye.}\ndigit.1: {text: 一, en: one}\n")
    write_wave(tmp_path / "zh-CN" / "goodbye.wav")
    write_wave(tmp_path / "zh-CN" / "digit.1.wav")
    return tmp_path


def test_every_shipped_prompt_is_complete() -> None:
    for entry in CATALOGUE.values():
        assert entry.text.strip(), entry.id
        assert entry.en.strip(), entry.id
        assert not any(c in "0123456789" for c in entry.text), f"{entry.id}: the voice reads figures badly"
        assert "你" not in entry.text, f"{entry.id}: say 您"


def test_every_sound_file_says_what_its_text_says_now() -> None:
    rendered = json.loads((PROMPTS / "zh-CN" / "rendered.json").read_text(encoding="utf-8"))
    said = {prompt_id: made_of["text"] for prompt_id, made_of in rendered.items()}
    assert said == {entry.id: entry.text for entry in CATALOGUE.values()}, "run ivr/prompts/render.py"


def test_every_kind_that_is_spoken_of_has_its_prompt_and_no_other_has() -> None:
    kinds = {i.removeprefix("kind.") for i in CATALOGUE if i.startswith("kind.")}
    assert kinds == SPOKEN_KINDS | {"unknown"}


def test_every_digit_can_be_said() -> None:
    assert {f"digit.{d}" for d in range(10)} <= CATALOGUE.keys()


@pytest.mark.parametrize("prompt_id", sorted(CATALOGUE))
def test_a_prompt_is_loud_enough_not_clipped_and_as_long_as_its_text(prompt_id: str) -> None:
    entry = CATALOGUE[prompt_id]
    with wave.open(str(entry.sound), "rb") as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    highest = max(abs(s) for s in samples)
    frames = [samples[at : at + 80] for at in range(0, len(samples) - 79, 80)]
    levels = [math.sqrt(sum(s * s for s in frame) / 80) for frame in frames]
    loud = [at for at, level in enumerate(levels) if level > max(levels) / 100]
    speech = math.sqrt(sum(levels[at] ** 2 for at in loud) / len(loud))
    seconds = (loud[-1] - loud[0] + 1) / 100
    syllables = sum(c.isalnum() for c in entry.text)

    assert 20 * math.log10(highest / 32768) <= -2.9
    assert -23 < 20 * math.log10(speech / 32768) < -19
    # Slow Mandarin is 2.5 to 5 syllables a second; a lone digit is drawn out.
    assert syllables / 5.6 < seconds < syllables / 2 + 0.4


def test_a_sound_is_named_the_way_asterisk_plays_it() -> None:
    assert sound_name(Prompt("contact.greeting")) == "careline/contact.greeting"
    name = sound_name(Spoken("张小明"))
    folder, digest = name.rsplit("/", 1)
    assert folder == "careline/tts"
    assert len(digest) == 24
    assert name == sound_name(Spoken(" 张小明\r\n"))
    assert name != sound_name(Spoken("张晓明"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("张小明", "张小明"),
        ("张\r\nAction: Originate\x00明", "张 Action: Originate 明"),
        ('5号院"东门"，3楼', "5号院 东门 ,3楼"),
        ("李䶮 [[ni3]] <b>", "李䶮 ni3 b"),
        ("４０１室", "401室"),
        ("../../etc/passwd", ".. .. etc passwd"),
        ("  \t\n", ""),
        ("……！？", ""),
        ("", ""),
    ],
)
def test_only_words_are_left_of_a_text(text: str, said: str) -> None:
    assert plain(text) == said


def test_a_text_without_end_is_cut() -> None:
    assert len(plain("很" * 100_000)) == 300


def test_a_valid_set_loads(prompts: Path) -> None:
    assert load_catalogue(prompts)["digit.1"].text == "一"


def test_a_missing_and_a_surplus_file_are_both_named(prompts: Path) -> None:
    (prompts / "zh-CN" / "goodbye.wav").rename(prompts / "zh-CN" / "good.bye.wav")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(prompts)
    missing, surplus = str(caught.value).splitlines()
    assert missing.endswith("goodbye.wav: is missing")
    assert surplus.endswith("good.bye.wav: no prompt of this name in zh-CN.yaml")


@pytest.mark.parametrize(
    ("shape", "fault"),
    [({"rate": 16000}, "16000 Hz"), ({"channels": 2}, "2 channels"), ({"width": 1}, "8 bit"), ({"frames": 0}, "empty")],
)
def test_a_file_asterisk_cannot_play_is_refused(prompts: Path, shape: dict[str, int], fault: str) -> None:
    write_wave(prompts / "zh-CN" / "goodbye.wav", **shape)
    with pytest.raises(CatalogueError, match=rf"goodbye\.wav: .*{fault}"):
        load_catalogue(prompts)


def test_a_file_that_is_no_sound_is_refused(prompts: Path) -> None:
    (prompts / "zh-CN" / "goodbye.wav").write_bytes(b"ID3 not a WAV")
    with pytest.raises(CatalogueError, match=r"goodbye\.wav: is not a WAV file"):
        load_catalogue(prompts)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("goodbye: {text: 再见。}", "goodbye: en wants words"),
        ("goodbye: {text: '', en: Goodbye.}", "goodbye: text wants words"),
        ("goodbye: {text: 1, en: one}", "goodbye: text wants words"),
        ("goodbye: {text: 再见。, en: Goodbye., texts: x}", "goodbye: texts is not a field"),
        ("goodbye: {text: 再见。, en: Goodbye., speed: 0}", "goodbye: speed wants a number above 0"),
        ("goodbye: 再见。", "goodbye: wants the fields text and en"),
        ("'../goodbye': {text: 再见。, en: Goodbye.}", "'../goodbye' is not an id"),
    ],
)
def test_a_faulty_entry_is_named_with_its_field(prompts: Path, line: str, fault: str) -> None:
    with (prompts / "zh-CN.yaml").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(prompts)
    assert fault in str(caught.value)


@pytest.mark.parametrize("content", ["goodbye: {text: [", "- a list", ""])
def test_a_file_that_is_no_catalogue_is_refused(prompts: Path, content: str) -> None:
    (prompts / "zh-CN.yaml").write_text(content)
    with pytest.raises(CatalogueError, match=r"zh-CN\.yaml"):
        load_catalogue(prompts)
