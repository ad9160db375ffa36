"""MNIST-1D (Greydanus 2020, Scaling down deep learning): signals of 40 values, generated, in ten classes.

Each example is a template of twelve values that stands for a digit's shape: padded, stretched, scaled, moved, laid in
noise, sheared and sampled again. Constants and the order of draws are those of the author's package, whose data with
its seed 42 this is.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from envs.datasets.source import Arrays, Raw, Source

Array = npt.NDArray[np.float64]

SEED = 42
NUM_EXAMPLES, NUM_TRAIN = 5000, 4000
PADDING = (36, 60)  # zeros after the template, fewest and most
SCALE = 0.4  # of the factor's interval about 1
MAX_TRANSLATION = 48  # values that the signal is moved by, at most
CORRELATED_NOISE, CORRELATION = 0.25, 2  # standard deviation before smoothing, and of the smoothing, where no signal is
NOISE = 0.02  # standard deviation everywhere
SHEAR = 0.75
LENGTH = 40
SIGNAL = 1e-8  # added to the template, so that its zeros are not taken for padding

TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)


def templates() -> Array:
    """The ten shapes (10, 12), whitened, divided by 6, beginning at 0."""
    centred = TEMPLATES - TEMPLATES.mean(axis=1, keepdims=True)
    shapes = centred / centred.std(axis=1, keepdims=True)
    return (shapes - shapes[:, :1]) / 6


def arrays() -> Arrays:
    """4000 signals to train and 1000 to test, of mean 0 and standard deviation 1."""
    rng = np.random.RandomState(SEED)  # the stream that the published data was drawn from
    per_class = NUM_EXAMPLES // len(TEMPLATES)
    labels = np.repeat(np.arange(len(TEMPLATES)), per_class)
    signals = np.stack([example(template, rng) for template in templates() for _ in range(per_class)])
    order = rng.permutation(NUM_EXAMPLES)
    signals, labels = signals[order], labels[order]
    signals = (signals - signals.mean()) / signals.std()
    return Arrays(signals[:NUM_TRAIN], labels[:NUM_TRAIN], signals[NUM_TRAIN:], labels[NUM_TRAIN:])


def example(template: Array, rng: np.random.RandomState) -> Array:
    """A signal (40,) drawn from a template (12,)."""
    from scipy.ndimage import gaussian_filter

    low, high = PADDING
    padded = np.concatenate([template + SIGNAL, np.zeros(low + int(rng.rand() * (high - low + 1)))])
    signal = resampled(padded, len(template) + high)
    signal *= 1 + SCALE * (rng.rand() - 0.5)
    signal = np.roll(signal, rng.choice(MAX_TRANSLATION))
    background = gaussian_filter(CORRELATED_NOISE * rng.randn(len(signal)), CORRELATION)
    signal = np.where(signal != 0, signal, background) + NOISE * rng.randn(len(signal))
    signal -= SHEAR * (rng.rand() - 0.5) * np.linspace(-0.5, 0.5, len(signal))
    return resampled(signal, LENGTH)


def resampled(signal: Array, length: int) -> Array:
    """The signal at `length` evenly spaced places, interpolated linearly."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(signal)), signal)


def find(data_dir: Path | None) -> Raw:
    """There are no files, so no folder counts."""
    return Raw(arrays)


SOURCE = Source(find, image_size=None, has_files=False)
