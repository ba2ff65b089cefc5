"""The real espeak-ng of the private root speaks names and addresses, also odd ones."""

from __future__ import annotations

import array
import asyncio
import time
import wave
from pathlib import Path

import pytest

from ivr.sounds import Spoken, plain, sound_name, telephone_fault
from ivr.speech import EspeakEngine, Speech
from service.runtime.__main__ import state_folder

ROOT = state_folder() / "root"


@pytest.fixture
def engine() -> EspeakEngine:
    return EspeakEngine(["chroot", str(ROOT), "espeak-ng"])


def seconds_of_sound(path: Path) -> float:
    """How long it is loud: 10 ms pieces above -40 dBFS."""
    assert telephone_fault(path) is None
    with wave.open(str(path), "rb") as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    pieces = [samples[at : at + 80] for at in range(0, len(samples), 80)]
    return sum(max(map(abs, piece)) > 327 for piece in pieces) / 100


@pytest.mark.parametrize(
    ("text", "syllables"),
    [
        ("张小明", 3),
        ("䶮", 1),
        ("李㛃", 2),
        ("欧阳䶮㛃", 4),
        ("上海市徐汇区田林路５号12号楼401室", 16),
        ('钥匙在"王阿姨"家；“东门”进', 10),
        ("张\r\n小明\x00", 3),
        ("--help", 1),
        ("$(touch /tmp/x) `id`", 3),
        ("[[ni3]] <speak>张</speak>", 2),
    ],
)
async def test_it_is_spoken(tmp_path: Path, engine: EspeakEngine, text: str, syllables: int) -> None:
    name = await Speech(engine, tmp_path).ensure(text)
    assert name == sound_name(Spoken(text))
    spoken = seconds_of_sound(tmp_path / f"{name}.wav")
    assert syllables * 0.12 < spoken < syllables * 0.7 + 2


@pytest.mark.parametrize("text", ["", "   ", "\r\n", "…", '""'])
async def test_nothing_to_say_makes_no_file(tmp_path: Path, engine: EspeakEngine, text: str) -> None:
    assert await Speech(engine, tmp_path).ensure(text) is None


async def test_different_names_sound_different(engine: EspeakEngine) -> None:
    assert await engine.render("张小明") != await engine.render("张晓红")


async def test_the_longest_text_there_is_ends_within_the_engines_time(tmp_path: Path, engine: EspeakEngine) -> None:
    text = plain("北京市海淀区中关村大街" * 100)
    assert await Speech(engine, tmp_path, patience=60).ensure(text) is not None


async def test_a_name_is_ready_before_a_caller_would_notice(tmp_path: Path, engine: EspeakEngine) -> None:
    speech = Speech(engine, tmp_path)
    began = time.monotonic()
    await asyncio.gather(*(speech.ensure(f"老人张小明家{n}号") for n in range(5)))
    assert time.monotonic() - began < 3
