"""A small Cog model: a melody in a pentatonic scale, from the prompt and the seed. It stands in for MusicGen and its like, so that
the tests speak to a real Cog server. Needs nothing but the standard library."""

import array
import math
import random
import tempfile
import time
import wave

from cog import BasePredictor, Input, Path

RATE = 32_000
LONGEST = 60
NOTE = RATE // 2
# Hz: A minor pentatonic.
SCALE = (220.0, 261.63, 293.66, 329.63, 392.0, 440.0, 523.25)


def note(pitch: float) -> array.array:
    """Half a second, plucked: a tone and its octave, fading."""
    step = 2 * math.pi * pitch / RATE
    samples = array.array("h", bytes(2 * NOTE))
    for n in range(NOTE):
        attack = min(1.0, n / 200)
        volume = 14_000 * attack * math.exp(-1.5 * n / NOTE)
        samples[n] = int(volume * (math.sin(step * n) + 0.3 * math.sin(2 * step * n)) / 1.3)
    return samples


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.notes = [note(pitch) for pitch in SCALE]

    def predict(
        self,
        prompt: str = Input(description="What to play"),
        duration: int = Input(description="Seconds", default=8),
        seed: int = Input(description="The same seed plays the same", default=0),
        render_seconds: float = Input(description="How long a slower machine would take", default=0.2),
    ) -> Path:
        if not 1 <= duration <= LONGEST:
            raise ValueError(f"this model plays 1 to {LONGEST} seconds, not {duration}")
        end = time.monotonic() + render_seconds
        while time.monotonic() < end:
            # In short steps: it may be cancelled between two.
            time.sleep(0.02)
        choice = random.Random(f"{seed} {prompt}")
        melody = array.array("h")
        for _ in range(2 * duration):
            melody.extend(choice.choice(self.notes))
        # With --upload-url the name is the address, so no two may be the same.
        with tempfile.NamedTemporaryFile(suffix=".wav", delete=False) as file:
            with wave.open(file, "wb") as wav:
                wav.setnchannels(1)
                wav.setsampwidth(2)
                wav.setframerate(RATE)
                wav.writeframes(melody.tobytes())
        return Path(file.name)
