"""Random numbers for rules that need fresh ones for every batch: a function of where they are used, and of a seed.

A generator that counts what it has given would have to be drawn from in the same order by torch and by the kernels, and
kept in checkpoints. Here a number is a hash of the training's seed, of the batch, of a stream (a neuron) and of its
place in the row (a sample). It is the sum of the eight bytes of two 32-bit hashes, centred and scaled to variance 1:
near enough to a normal one for noise (kurtosis 2.85, largest 4.9), and exact integers, so that both twins have the same
bits.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from networks.jit import lean

FloatArray = npt.NDArray[np.float32]

_STEP, _STREAM = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_PLACE, _OTHER_PLACE = np.uint32(0x9E3779B9), np.uint32(0x85EBCA6B)
_MEAN = np.int32(8 * 255 // 2)
_SCALE = np.float32((8 * (256**2 - 1) / 12) ** -0.5)
F = np.float32


def rows(seed: int, step: int, streams: npt.ArrayLike, length: int) -> FloatArray:
    """Independent numbers of mean 0 and variance 1, (S, length), for the batch `step` and the streams (S,)."""
    with np.errstate(over="ignore"):
        streams = np.atleast_1d(np.asarray(streams)).astype(np.uint64)
        key = _mix64(_mix64(np.uint64(seed) + _STEP * np.uint64(step)) + _STREAM * streams)[:, None]
        place = np.arange(length, dtype=np.uint32)
        low, high = key.astype(np.uint32), (key >> np.uint64(32)).astype(np.uint32)
        hashes = np.stack([_mix32(low + place * _PLACE), _mix32(high + place * _OTHER_PLACE)], axis=-1)
    total = hashes.view(np.uint8).sum(axis=-1, dtype=np.int32)
    return (total - _MEAN).astype(F) * _SCALE


def _mix64(x: Any) -> Any:
    """The finaliser of splitmix64 (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix32(x: Any) -> Any:
    """The finaliser of MurmurHash3 for 32 bits (Appleby)."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


# ---- the same for kernels ----------------------------------------------------------------------------------------


@lean
def key_of(seed: Any, step: int, stream: int) -> Any:
    """What decides a row; its numbers are `normal(key, place)`."""
    x = _finish64(np.uint64(seed) + _STEP * np.uint64(step))
    return _finish64(x + _STREAM * np.uint64(stream))


@lean
def _finish64(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@lean
def _finish32(x: Any) -> Any:
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))


@lean
def normal(key: Any, place: Any) -> Any:
    """The number at a place of the row that belongs to `key`."""
    place = np.uint32(place)
    x = _finish32(np.uint32(np.uint32(key & np.uint64(0xFFFFFFFF)) + np.uint32(place * _PLACE)))
    y = _finish32(np.uint32(np.uint32(key >> np.uint64(32)) + np.uint32(place * _OTHER_PLACE)))
    even, odd = np.uint32(0x00FF00FF), np.uint32(8)
    halves = np.uint32(np.uint32((x & even) + ((x >> odd) & even)) + np.uint32((y & even) + ((y >> odd) & even)))
    total = np.int32(halves & np.uint32(0xFFFF)) + np.int32(halves >> np.uint32(16))
    return F(np.int32(total - _MEAN)) * _SCALE
