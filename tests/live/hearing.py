"""What a phone of the played network heard, and when: its recording compared with the prompts."""

from __future__ import annotations

import asyncio
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dialplan.phones import PhoneCall
from tests.live.world import World

Samples = npt.NDArray[np.float64]
PROMPTS = Path(__file__).parents[2] / "ivr/prompts/zh-CN"
RATE = 8000
_ALIKE = 0.7
"""Correlation, 0..1, from which two sounds are the same one: A-law costs a little, other speech reaches 0.2."""


@dataclass(frozen=True)
class Heard:
    """The sound that reached a phone from the moment it picked up."""

    answered_at: float
    samples: Samples

    def prompt(self, name: str) -> float | None:
        """When the prompt began, as Unix time in seconds; None if it was not heard to its end."""
        prompt = _read(PROMPTS / f"{name}.wav")
        loud = np.flatnonzero(np.abs(prompt) > 200)
        prompt = prompt[loud[0] : loud[-1]]  # the silence around it says nothing
        if len(self.samples) < len(prompt):
            return None
        size = 1 << (len(self.samples) + len(prompt)).bit_length()
        spectrum: Any = np.fft.rfft(self.samples, size) * np.conj(np.fft.rfft(prompt, size))
        matches = np.fft.irfft(spectrum, size)[: len(self.samples) - len(prompt) + 1]
        total = np.concatenate(([0.0], np.cumsum(self.samples**2)))
        energy = total[len(prompt) :] - total[: -len(prompt)]
        alike = matches / (np.sqrt(np.maximum(energy, 1.0)) * np.sqrt((prompt**2).sum()))
        best = int(alike.argmax())
        return self.answered_at + best / RATE if alike[best] > _ALIKE else None

    def tone(self, *hertz: float) -> bool:
        """Whether for half a second it was these tones and hardly anything else."""
        window = RATE // 2
        for start in range(0, len(self.samples) - window, window):
            power = np.abs(np.fft.rfft(self.samples[start : start + window])) ** 2
            at = [round(tone * window / RATE) for tone in hertz]
            if power.sum() > 1e9 and sum(power[i - 2 : i + 3].sum() for i in at) > 0.8 * power.sum():
                return True
        return False


async def heard(world: World, call: PhoneCall) -> Heard:
    """The recording of a call that has ended."""
    assert call.answered_at is not None
    path = world.phones.path.parent / "heard" / f"{call.number}-{call.call}.wav"
    deadline = time.monotonic() + 5
    while not path.exists() or path.stat().st_mtime + 0.3 > time.time():  # it is written until a moment later
        assert time.monotonic() < deadline, "the phone's recording is missing"
        await asyncio.sleep(0.05)
    return Heard(call.answered_at, _read(path))


def _read(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
