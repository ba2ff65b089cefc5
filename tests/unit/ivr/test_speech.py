"""Spoken names and addresses: made once, kept, never in the way of a call; and prompts on their way to Asterisk."""

from __future__ import annotations

import array
import asyncio
import contextlib
import io
import logging
import math
import os
import random
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from ivr.sounds import PROMPTS, Spoken, load_catalogue, sound_name, telephone_fault
from ivr.speech import EspeakEngine, Speech, SpeechError, digit_by_digit, publish
from ivr.waves import WaveError, spoken_wave, telephone_wave


def tone(hertz: float, *, rate: int, seconds: float = 0.5, channels: int = 1, width: int = 2) -> bytes:
    """A WAV file of a sine at half of full scale, the same in every channel."""
    top = 2 ** (8 * width - 2)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        for n in range(round(rate * seconds)):
            value = round(top * math.sin(2 * math.pi * hertz * n / rate))
            sample = (value + 128).to_bytes(1) if width == 1 else value.to_bytes(width, "little", signed=True)
            file.writeframesraw(sample * channels)
    return buffer.getvalue()


def samples_of(data: bytes) -> array.array[int]:
    with wave.open(io.BytesIO(data), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return array.array("h", file.readframes(file.getnframes()))


def decibels(samples: array.array[int]) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return 20 * math.log10(max(1.0, math.sqrt(sum(s * s for s in middle) / len(middle))) / 32768)


class Voice:
    """An engine whose every text sounds the same; it waits for `may_speak` and fails when told to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.began = asyncio.Event()
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self.broken = False
        self.speaking = 0
        self.most_at_once = 0

    async def render(self, text: str) -> bytes:
        self.texts.append(text)
        self.began.set()
        self.speaking += 1
        self.most_at_once = max(self.most_at_once, self.speaking)
        try:
            await asyncio.sleep(0)
            await self.may_speak.wait()
        finally:
            self.speaking -= 1
        if self.broken:
            raise SpeechError("no voice today")
        return tone(440, rate=8000)


@pytest.fixture
def voice() -> Voice:
    return Voice()


async def test_a_text_is_spoken_once_and_kept(tmp_path: Path, voice: Voice) -> None:
    name = await Speech(voice, tmp_path).ensure("张小明")
    assert name == sound_name(Spoken("张小明"))
    assert telephone_fault(tmp_path / f"{name}.wav") is None
    assert await Speech(voice, tmp_path).ensure("张小明 ") == name
    assert voice.texts == ["张小明"]


async def test_a_file_can_be_read_by_asterisks_own_user(tmp_path: Path, voice: Voice) -> None:
    name = await Speech(voice, tmp_path).ensure("张小明")
    assert (tmp_path / f"{name}.wav").stat().st_mode & 0o777 == 0o644


async def test_many_calls_about_one_elder_make_one_file(tmp_path: Path, voice: Voice) -> None:
    speech = Speech(voice, tmp_path)
    names = await asyncio.gather(*(speech.ensure("张小明") for _ in range(100)))
    assert set(names) == {sound_name(Spoken("张小明"))}
    assert voice.texts == ["张小明"]


async def test_many_texts_at_once_do_not_take_the_whole_machine(tmp_path: Path, voice: Voice) -> None:
    speech = Speech(voice, tmp_path, at_once=2)
    await asyncio.gather(*(speech.ensure(f"老人{n}") for n in range(20)))
    assert len(voice.texts) == 20
    assert voice.most_at_once == 2


async def test_a_slow_engine_holds_no_call_up_and_its_work_is_not_lost(tmp_path: Path, voice: Voice) -> None:
    voice.may_speak.clear()
    speech = Speech(voice, tmp_path, patience=0.05)
    assert await speech.ensure("张小明") is None
    await voice.began.wait()
    voice.may_speak.set()
    # The first caller's work is the second caller's answer: it was not begun anew.
    speech.patience = 10
    assert await speech.ensure("张小明") == sound_name(Spoken("张小明"))
    assert voice.texts == ["张小明"]


async def test_one_caller_hanging_up_does_not_spoil_it_for_the_other(tmp_path: Path, voice: Voice) -> None:
    voice.may_speak.clear()
    speech = Speech(voice, tmp_path)
    gone, stays = asyncio.create_task(speech.ensure("张小明")), asyncio.create_task(speech.ensure("张小明"))
    await voice.began.wait()
    gone.cancel()
    voice.may_speak.set()
    assert await stays == sound_name(Spoken("张小明"))


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_cannot_be_spoken_is_left_out_and_tried_again(
    tmp_path: Path, voice: Voice, caplog: pytest.LogCaptureFixture
) -> None:
    speech = Speech(voice, tmp_path)
    voice.broken = True
    with caplog.at_level(logging.DEBUG, "careline"):
        assert await speech.ensure("张小明") is None
    assert "no voice today" in caplog.text
    assert "张小明" not in caplog.text
    assert files_below(tmp_path) == []
    voice.broken = False
    assert await speech.ensure("张小明") is not None


async def test_a_full_or_read_only_disk_is_a_failure_like_any_other(tmp_path: Path, voice: Voice) -> None:
    (tmp_path / "careline").write_text("a file where the folder should be")
    assert await Speech(voice, tmp_path).ensure("张小明") is None


@pytest.mark.parametrize("text", ["", "  \r\n", "……"])
async def test_nothing_to_say_needs_no_engine(tmp_path: Path, voice: Voice, text: str) -> None:
    assert await Speech(voice, tmp_path).ensure(text) is None
    assert voice.texts == []


async def test_closing_stops_what_is_being_made(tmp_path: Path, voice: Voice) -> None:
    voice.may_speak.clear()
    speech = Speech(voice, tmp_path, patience=0.01)
    await speech.ensure("张小明")
    await speech.close()
    assert voice.speaking == 0


async def test_a_person_saying_the_name_wins_also_later(tmp_path: Path, voice: Voice) -> None:
    sounds, spoken = tmp_path / "sounds", tmp_path / "recordings" / "zh-CN" / "spoken"
    speech = Speech(voice, sounds, tmp_path / "recordings")
    name = await speech.ensure("张小明")
    machine = (sounds / f"{name}.wav").read_bytes()

    spoken.mkdir(parents=True)
    person = tone(300, rate=8000, seconds=1)
    (spoken / "张小明.wav").write_bytes(person)
    assert await speech.ensure("张小明") == name
    assert (sounds / f"{name}.wav").read_bytes() == person != machine
    assert voice.texts == ["张小明"]


async def test_a_broken_recording_of_a_name_leaves_the_machines_voice(
    tmp_path: Path, voice: Voice, caplog: pytest.LogCaptureFixture
) -> None:
    spoken = tmp_path / "recordings" / "zh-CN" / "spoken"
    spoken.mkdir(parents=True)
    (spoken / "张小明.wav").write_bytes(b"ID3")
    name = await Speech(voice, tmp_path, tmp_path / "recordings").ensure("张小明")
    assert name is not None
    assert "cannot be used" in caplog.text
    assert "张小明" not in caplog.text


async def test_a_long_text_is_no_file_name(tmp_path: Path, voice: Voice) -> None:
    assert await Speech(voice, tmp_path, tmp_path).ensure("很" * 300) is not None


# --- espeak-ng, played by a small script: what the real one never does on demand --------------------


@pytest.fixture
def play(tmp_path: Path) -> Callable[[str], EspeakEngine]:
    """An engine that runs the given Python lines instead of espeak-ng."""

    def make(lines: str) -> EspeakEngine:
        script = tmp_path / "espeak.py"
        script.write_text(lines)
        return EspeakEngine([sys.executable, str(script)], seconds=10)

    return make


async def test_the_text_goes_in_by_stdin_and_not_as_an_argument(
    tmp_path: Path, play: Callable[[str], EspeakEngine]
) -> None:
    (tmp_path / "voice.wav").write_bytes(tone(440, rate=22050))
    engine = play(
        "import pathlib, sys\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / 'stdin').write_bytes(sys.stdin.buffer.read())\n"
        "(here / 'arguments').write_text(' '.join(sys.argv))\n"
        "sys.stdout.buffer.write((here / 'voice.wav').read_bytes())\n"
    )
    samples_of(await engine.render("--version $(id) 401室"))
    assert (tmp_path / "stdin").read_text() == "--version $(id) 四零一室"
    assert "--version" not in (tmp_path / "arguments").read_text()


async def test_a_failing_engine_says_why_and_never_the_text(play: Callable[[str], EspeakEngine]) -> None:
    engine = play("import sys; sys.stderr.write('cannot say ' + sys.stdin.read()); sys.exit(3)")
    with pytest.raises(SpeechError, match="ended with 3: cannot say …") as caught:
        await engine.render("张小明")
    assert "张小明" not in str(caught.value)


async def test_an_engine_that_hangs_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    pid = tmp_path / "pid"
    script.write_text(
        f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    with pytest.raises(SpeechError, match="longer than 1 s"):
        await EspeakEngine([sys.executable, str(script)], seconds=1).render("张小明")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize("output", ["b''", "b'RIFF'", "bytes(100000)"])
async def test_garbage_from_the_engine_is_no_speech(play: Callable[[str], EspeakEngine], output: str) -> None:
    engine = play(f"import sys; sys.stdin.read(); sys.stdout.buffer.write({output})")
    with pytest.raises(SpeechError, match="gave no speech"):
        await engine.render("张小明")


async def test_a_missing_engine_is_named() -> None:
    with pytest.raises(SpeechError, match="no-such-engine cannot be started"):
        await EspeakEngine(["no-such-engine"]).render("张小明")


def test_room_numbers_are_said_digit_by_digit() -> None:
    assert digit_by_digit("5号院12楼401室，电话13900000123") == "5号院12楼四零一室，电话一三九零零零零零一二三"


# --- sound files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_a_tone_comes_through_at_the_same_loudness_and_length(rate: int) -> None:
    samples = samples_of(telephone_wave(tone(1000, rate=rate)))
    assert len(samples) == pytest.approx(4000, abs=2)
    assert decibels(samples) == pytest.approx(-9.0, abs=0.3)


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_what_the_telephone_cannot_carry_does_not_fold_back(rate: int) -> None:
    assert decibels(samples_of(telephone_wave(tone(5500, rate=rate)))) < -50


@pytest.mark.parametrize(("channels", "width"), [(2, 2), (1, 1), (1, 3), (2, 4)])
def test_stereo_and_other_widths_are_taken(channels: int, width: int) -> None:
    samples = samples_of(telephone_wave(tone(1000, rate=16000, channels=channels, width=width)))
    assert decibels(samples) == pytest.approx(-9.0, abs=0.5)


def test_speech_is_trimmed_and_as_loud_as_the_prompts() -> None:
    quiet = bytes(8000 * 2)
    with wave.open(io.BytesIO(tone(700, rate=8000)), "rb") as file:
        speech = file.readframes(file.getnframes())
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(quiet + speech + quiet)
    samples = samples_of(spoken_wave(buffer.getvalue()))
    assert len(samples) / 8000 == pytest.approx(0.1 + 0.5 + 0.2, abs=0.03)
    assert decibels(samples) == pytest.approx(-20, abs=0.5)


CUT_IN_A_SAMPLE = tone(500, rate=8000)[:-1]
COUNTLESS_SAMPLES_A_SECOND = tone(500, rate=8000).replace((8000).to_bytes(4, "little"), b"\xff\xff\xff\x7f", 1)


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"ID3" + bytes(500), tone(100, rate=4000), CUT_IN_A_SAMPLE, COUNTLESS_SAMPLES_A_SECOND],
)
def test_what_is_no_usable_wave_is_refused(data: bytes) -> None:
    with pytest.raises(WaveError):
        telephone_wave(data)


def test_a_damaged_file_is_refused_whatever_the_damage() -> None:
    chance = random.Random(20261122)
    whole = tone(500, rate=16000, seconds=0.01, channels=2)
    for _ in range(1000):
        damaged = bytearray(whole[: chance.randint(0, len(whole))])
        for _ in range(min(3, len(damaged))):
            damaged[chance.randrange(min(60, len(damaged)))] = chance.randrange(256)
        with contextlib.suppress(WaveError):
            telephone_wave(bytes(damaged))


# --- prompts on their way to Asterisk ---------------------------------------------------------------


def test_publishing_twice_writes_once(tmp_path: Path) -> None:
    prompts = load_catalogue()
    assert publish(tmp_path) == len(prompts)
    assert publish(tmp_path) == 0
    for entry in prompts.values():
        assert (tmp_path / "careline" / f"{entry.id}.wav").read_bytes() == entry.sound.read_bytes()


def test_a_damaged_file_is_put_right(tmp_path: Path) -> None:
    publish(tmp_path)
    (tmp_path / "careline" / "goodbye.wav").write_bytes(b"")
    assert publish(tmp_path) == 1
    assert telephone_fault(tmp_path / "careline" / "goodbye.wav") is None


def test_a_person_wins_comes_in_any_format_and_can_be_taken_back(tmp_path: Path) -> None:
    sounds, recordings = tmp_path / "sounds", tmp_path / "recordings"
    target, person = sounds / "careline" / "elder.greeting.wav", recordings / "zh-CN" / "elder.greeting.wav"
    publish(sounds, recordings)
    person.parent.mkdir(parents=True)
    person.write_bytes(tone(600, rate=44100, channels=2))

    assert publish(sounds, recordings) == 1
    assert len(samples_of(target.read_bytes())) == pytest.approx(4000, abs=2)
    assert publish(sounds, recordings) == 0

    person.unlink()
    assert publish(sounds, recordings) == 1
    assert target.read_bytes() == (PROMPTS / "zh-CN" / "elder.greeting.wav").read_bytes()


def test_a_recording_that_cannot_be_read_leaves_the_shipped_prompt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = tmp_path / "recordings" / "zh-CN" / "elder.greeting.wav"
    person.parent.mkdir(parents=True)
    person.write_bytes(b"this is an MP3, really")
    publish(tmp_path / "sounds", tmp_path / "recordings")
    shipped = (PROMPTS / "zh-CN" / "elder.greeting.wav").read_bytes()
    assert (tmp_path / "sounds" / "careline" / "elder.greeting.wav").read_bytes() == shipped
    assert "the recording for elder.greeting cannot be used" in caplog.text
