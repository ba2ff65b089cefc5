"""What can be said on a call: prompts that are ready as files, and texts spoken by a machine (names, addresses)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import wave
from dataclasses import dataclass
from pathlib import Path

import yaml

LANGUAGE = "zh-CN"
PROMPTS = Path(__file__).parent / "prompts"
RATE = 8_000

SPOKEN_KINDS = frozenset(
    {
        *("smoke", "gas", "co", "one_key", "fall", "vital_signs", "inactivity", "door"),
        *("device_fault", "heartbeat_lost", "low_battery"),
    }
)
"""Kinds of alarm that have a prompt of their own (`kind.<kind>`); for any other say `kind.unknown`."""

_VOICE = "espeak-ng cmn 1"
"""Part of every spoken text's name. Change it whenever the same text shall sound different: then all is made anew."""

_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_FIELDS = {"text", "en", "note", "pause", "speed"}
_LONGEST = 300
_MARKS = frozenset("，。、；：！？,.;:!?")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of the catalogue."""

    id: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text that only this call needs."""

    text: str


Part = Prompt | Spoken


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt: what it says (Mandarin, English), a note for its reader, and its sound file."""

    id: str
    text: str
    en: str
    note: str
    sound: Path


class CatalogueError(Exception):
    """The prompts are not complete or not valid; the message names every fault, a line each."""


def sound_name(part: Part) -> str:
    """The name by which Asterisk plays it: below the node's sounds folder, without `.wav`."""
    if isinstance(part, Prompt):
        return f"careline/{part.id}"
    digest = hashlib.sha256(f"{_VOICE}\n{plain(part.text)}".encode()).hexdigest()
    return f"careline/tts/{digest[:24]}"


def plain(text: str) -> str:
    """Letters, numbers and pauses of a text on one line, at most 300 characters; "" when there is nothing to say.

    What else is in it (control characters, quotes, mark-up, engines' own commands in brackets) becomes a space.
    """
    normal = unicodedata.normalize("NFKC", text[: 4 * _LONGEST])
    kept = "".join(c if c in _MARKS or unicodedata.category(c)[0] in "LMN" else " " for c in normal)
    words = " ".join(kept.split())[:_LONGEST].strip()
    return words if any(c.isalnum() for c in words) else ""


def load_catalogue(folder: Path = PROMPTS, language: str = LANGUAGE) -> dict[str, Entry]:
    """Read `<folder>/<language>.yaml` and check it against the sound files in `<folder>/<language>/`.

    Guaranteed afterwards: a text and a translation for each prompt, one 8 kHz mono 16-bit WAV for each prompt and no
    file too many. Raises CatalogueError.
    """
    source, sounds = folder / f"{language}.yaml", folder / language
    try:
        raw = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{source}: cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise CatalogueError(f"{source}: wants a mapping of prompt ids")
    catalogue: dict[str, Entry] = {}
    faults: list[str] = []
    for prompt_id, fields in raw.items():
        if not isinstance(prompt_id, str) or not _ID.fullmatch(prompt_id):
            faults.append(f"{source}: {prompt_id!r} is not an id (a-z, 0-9, _ and dots)")
            continue
        wrong = _field_faults(fields)
        if wrong:
            faults += [f"{source}: {prompt_id}: {fault}" for fault in wrong]
            continue
        sound = sounds / f"{prompt_id}.wav"
        entry = Entry(prompt_id, fields["text"], fields["en"], fields.get("note", ""), sound)
        catalogue[prompt_id] = entry
        fault = telephone_fault(sound)
        if fault:
            faults.append(f"{sound}: {fault}")
    known = {f"{prompt_id}.wav" for prompt_id in raw}
    faults += [f"{f}: no prompt of this name in {source.name}" for f in sounds.glob("*.wav") if f.name not in known]
    if faults:
        raise CatalogueError("\n".join(faults))
    return catalogue


def telephone_fault(sound: Path) -> str | None:
    """Why Asterisk could not play this file (wants WAV, 8 kHz, mono, 16-bit, not empty), or None when it can."""
    try:
        with wave.open(str(sound), "rb") as file:
            shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            frames = file.getnframes()
    except FileNotFoundError:
        return "is missing"
    except (OSError, EOFError, wave.Error) as error:
        return f"is not a WAV file: {error}"
    if shape != (RATE, 1, 2):
        rate, channels, width = shape
        return f"wants 8000 Hz, 1 channel, 16 bit; has {rate} Hz, {channels} channels, {width * 8} bit"
    return None if frames else "is empty"


def _field_faults(fields: object) -> list[str]:
    if not isinstance(fields, dict):
        return ["wants the fields text and en"]
    unknown = sorted(str(field) for field in fields if field not in _FIELDS)
    faults = [f"{field} is not a field" for field in unknown]
    for field in ("text", "en", "note"):
        value = fields.get(field, "" if field == "note" else None)
        if not isinstance(value, str) or (field != "note" and not value.strip()):
            faults.append(f"{field} wants words (in quotes, if it looks like a number)")
    for field in ("pause", "speed"):
        value = fields.get(field, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            faults.append(f"{field} wants a number above 0")
    return faults
