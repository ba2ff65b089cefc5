"""Speech by a machine for names and addresses, made ahead of the call and kept; and the way prompts reach Asterisk."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ivr.sounds import LANGUAGE, PROMPTS, Spoken, load_catalogue, plain, sound_name, telephone_fault
from ivr.waves import WaveError, spoken_wave, telephone_wave

log = logging.getLogger("careline.ivr")

_DIGITS = "零一二三四五六七八九"
_LONGEST_FILE_NAME = 255


class SpeechError(Exception):
    """A text could not be spoken. The message never holds the text."""


class Engine(Protocol):
    """Turns text into sound."""

    async def render(self, text: str) -> bytes:
        """`text` (never empty, as `plain` leaves it) as a WAV file: 8 kHz, mono, 16-bit. Raises SpeechError."""
        ...


class EspeakEngine:
    """espeak-ng 1.52 or later (1.51 and before speak no Mandarin). Its voice is a machine's: for names, not prompts.

    `command`: how to run it, for instance `["chroot", ROOT, "espeak-ng"]`. `seconds`: the longest it may take.
    """

    def __init__(self, command: Sequence[str] = ("espeak-ng",), *, seconds: float = 10.0) -> None:
        # -s: words a minute, of 175 that are usual: slow enough to be followed by telephone.
        self._command = (*command, "-v", "cmn", "-s", "130", "-b", "1", "--stdin", "--stdout")
        self._seconds = seconds

    async def render(self, text: str) -> bytes:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise SpeechError(f"{self._command[0]} cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._seconds):
                # The text goes in by stdin: no shell and no option of espeak-ng can be reached by it.
                sound, complaint = await process.communicate(digit_by_digit(text).encode())
        except RuntimeError as error:  # uvloop's word for a stdin that is closed already
            raise SpeechError("espeak-ng ended before it took the text") from error
        except TimeoutError as error:
            raise SpeechError(f"espeak-ng took longer than {self._seconds:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            reason = complaint.decode(errors="replace").replace(text, "…").strip()[:200]
            raise SpeechError(f"espeak-ng ended with {process.returncode}: {reason}")
        try:
            return await asyncio.to_thread(spoken_wave, sound)
        except WaveError as error:
            raise SpeechError(f"espeak-ng gave no speech: {error}") from error


def digit_by_digit(text: str) -> str:
    """Room and telephone numbers as they are said: 401 is 四零一, not four hundred and one. Up to 99 as they are."""
    return re.sub(r"[0-9]{3,}", lambda run: "".join(_DIGITS[int(digit)] for digit in run[0]), text)


class Speech:
    """Spoken texts as files of one node's sounds folder. For one event loop.

    `recordings`: a folder of files made by people; `<recordings>/zh-CN/spoken/<text>.wav` is played instead of the
    machine's voice. `patience`: the longest a caller waits here, in seconds. `at_once`: engines running at one time.
    """

    def __init__(
        self, engine: Engine, sounds: Path, recordings: Path | None = None, *, patience: float = 3.0, at_once: int = 2
    ) -> None:
        self._engine = engine
        self._sounds = sounds
        self._recordings = recordings
        self.patience = patience
        self._places = asyncio.Semaphore(at_once)
        self._under_way: dict[str, asyncio.Task[bool]] = {}

    async def ensure(self, text: str) -> str | None:
        """Have `text` ready to be played; returns its `sound_name`, or None when there is none within `patience`.

        A conversation goes on without it. What takes longer is finished all the same and is there the next time.
        """
        words = plain(text)
        if not words:
            return None
        name = sound_name(Spoken(text))
        if self._is_ready(name, words):
            return name
        task = self._under_way.get(name)
        if task is None:
            task = self._under_way[name] = asyncio.create_task(self._make(name, words))
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        try:
            async with asyncio.timeout(self.patience):
                return name if await asyncio.shield(task) else None
        except TimeoutError:
            log.warning("speech %s is late: the call goes on without it", name)
            return None

    async def close(self) -> None:
        """Stop what is being made."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_ready(self, name: str, words: str) -> bool:
        target, person = self._file(name), self._recording(words)
        if person is not None:
            return _is_copy(target, person)
        return target.is_file()

    async def _make(self, name: str, words: str) -> bool:
        """Write the file; False when it could not be made. Never raises, as several callers may wait for it."""
        target, person = self._file(name), self._recording(words)
        try:
            if person is not None and await asyncio.to_thread(_publish_recording, target, person):
                return True
            async with self._places:
                sound = await self._engine.render(words)
            await asyncio.to_thread(_write, target, sound)
        except (SpeechError, OSError) as error:
            log.warning("speech %s could not be made: %s", name, error)
            return False
        return True

    def _file(self, name: str) -> Path:
        return self._sounds / f"{name}.wav"

    def _recording(self, words: str) -> Path | None:
        file_name = f"{words}.wav"
        if self._recordings is None or len(file_name.encode()) > _LONGEST_FILE_NAME:
            return None
        path = self._recordings / LANGUAGE / "spoken" / file_name
        return path if path.is_file() else None


def publish(sounds: Path, recordings: Path | None = None, prompts: Path = PROMPTS) -> int:
    """Put every prompt where the node plays it, `<sounds>/careline/<id>.wav`; returns how many files were written.

    `<recordings>/zh-CN/<id>.wav`, made by a person, wins; one that cannot be read is reported and passed over. Files
    that are right already stay untouched. Raises CatalogueError.
    """
    written = 0
    for entry in load_catalogue(prompts).values():
        target = sounds / "careline" / f"{entry.id}.wav"
        person = recordings / LANGUAGE / f"{entry.id}.wav" if recordings else None
        if person is not None and person.is_file():
            if _is_copy(target, person):
                continue
            if _publish_recording(target, person):
                written += 1
                continue
        sound = entry.sound.read_bytes()
        if not target.is_file() or target.read_bytes() != sound:
            _write(target, sound)
            written += 1
    return written


def _publish_recording(target: Path, person: Path) -> bool:
    """A person's recording in Asterisk's format; False, with a word in the log, when it cannot be used."""
    try:
        made = person.stat().st_mtime_ns
        sound = person.read_bytes() if telephone_fault(person) is None else telephone_wave(person.read_bytes())
        _write(target, sound)
    except (OSError, WaveError) as error:
        # By the target's name: the recording's own may be the name of a person.
        log.warning("the recording for %s cannot be used: %s", target.stem, getattr(error, "strerror", None) or error)
        return False
    # The mark by which `_is_copy` knows it again: converting is too slow for every start.
    os.utime(target, ns=(made, made))
    return True


def _is_copy(target: Path, person: Path) -> bool:
    return target.is_file() and target.stat().st_mtime_ns == person.stat().st_mtime_ns


def _write(target: Path, data: bytes) -> None:
    """Whole or not at all, also when the machine stops half-way: Asterisk never plays half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".new-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(target)
        except BaseException:  # also when cancelled: nothing half-made may stay
            Path(file.name).unlink(missing_ok=True)
            raise
