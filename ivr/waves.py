"""WAV files of any kind made into what Asterisk plays: 8 kHz, mono, 16-bit."""

from __future__ import annotations

import array
import io
import math
import sys
import warnings
import wave
from operator import mul
from typing import Any

from ivr.sounds import RATE

with warnings.catch_warnings():
    # pydub warns at import that ffmpeg is missing; WAV needs none.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.silence import detect_leading_silence

LEVEL, PEAK = -20.0, -3.0
"""dBFS of speech (RMS) and of its highest sample: the same as the prompts have (ivr/prompts/render.py)."""
SILENCE = -45.0
HEAD_MS, TAIL_MS = 100, 200
RATES = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000})
"""Samples a second that are taken, as recorders write them. Any other means damage, and could be costly to convert."""
CUTOFF = 3_600
REACH = 12
"""Filter length on either side, in samples at 8 kHz: what would fold back from above 4.3 kHz is 40 dB down."""


class WaveError(Exception):
    """Not a WAV file that can be used; says why."""


def telephone_wave(data: bytes) -> bytes:
    """The same sound at 8 kHz, mono, 16-bit. Takes PCM WAV of 8 to 32 bits, any channels, at one of RATES."""
    return _wave(_telephone(data))


def spoken_wave(data: bytes) -> bytes:
    """A machine's speech as a prompt: as `telephone_wave`, without silence around it, as loud as the prompts."""
    sound = _telephone(data)
    start = detect_leading_silence(sound, SILENCE)
    end = len(sound) - detect_leading_silence(sound.reverse(), SILENCE)
    if end <= start:
        raise WaveError("it is silent")
    speech = sound[start:end]
    speech = speech.apply_gain(min(LEVEL - speech.dBFS, PEAK - speech.max_dBFS))
    quiet = AudioSegment.silent(HEAD_MS, RATE), AudioSegment.silent(TAIL_MS, RATE)
    return _wave(quiet[0] + speech + quiet[1])


def _telephone(data: bytes) -> Any:
    try:
        sound = AudioSegment(data).set_channels(1).set_sample_width(2)
        sound.get_array_of_samples()
    except Exception as error:
        # pydub meets a damaged file with whatever its bytes lead to (KeyError, struct.error, audioop.error and more):
        # each means the same here, and none may stop the service from starting.
        raise WaveError(f"it is not a whole WAV file of plain PCM ({type(error).__name__})") from error
    if sound.frame_rate not in RATES:
        raise WaveError(f"it has {sound.frame_rate} samples a second, which is no usual number")
    if sound.frame_rate == RATE:
        return sound
    samples = _lower_rate(sound.get_array_of_samples(), sound.frame_rate)
    return AudioSegment(data=samples.tobytes(), sample_width=2, frame_rate=RATE, channels=1)


def _lower_rate(samples: array.array[int], rate: int) -> array.array[int]:
    """To 8 kHz through a windowed-sinc low-pass, as pydub's own `set_frame_rate` has none.

    Without it the hiss of s, sh and x folds down into the vowels, by which those sounds are told apart.
    About 20 ms for a second of sound: call it in a thread.
    """
    common = math.gcd(rate, RATE)
    up, down = RATE // common, rate // common
    reach = math.ceil(REACH * rate / RATE)
    kernels = [_kernel(phase / up, reach, rate) for phase in range(up)]
    padded = [0] * reach + samples.tolist() + [0] * (reach + 1)
    result = array.array("h")
    for number in range(len(samples) * up // down):
        at, phase = divmod(number * down, up)
        value = round(sum(map(mul, padded[at : at + 2 * reach + 1], kernels[phase])))
        result.append(max(-32768, min(32767, value)))
    return result


def _kernel(shift: float, reach: int, rate: int) -> list[float]:
    """Weights of the samples `reach` before to `reach` after a point `shift` of a sample behind the middle one."""
    weights = []
    for offset in range(-reach, reach + 1):
        distance = offset - shift
        angle = 2 * math.pi * CUTOFF * distance / rate
        sinc = math.sin(angle) / angle if angle else 1.0
        window = 0.5 + 0.5 * math.cos(math.pi * distance / (reach + 1))
        weights.append(sinc * window)
    total = sum(weights)
    return [weight / total for weight in weights]


def _wave(sound: Any) -> bytes:
    samples = sound.get_array_of_samples()
    if sys.byteorder == "big":
        samples.byteswap()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()
