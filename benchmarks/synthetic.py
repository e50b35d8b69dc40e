"""Synthetic signals whose critical period ends at a known epoch, or goes on to the end."""

import math
from collections.abc import Callable

import numpy as np

EPOCHS, CHANGE = 100, 40
Make = Callable[[np.random.Generator, int], np.ndarray]
"""(generator, number of epochs) -> one value an epoch"""


def noise(rng: np.random.Generator, n: int, sd: float = 1.0, rho: float = 0.0) -> np.ndarray:
    """Stationary, of standard deviation sd; rho is its correlation from one epoch to the next."""
    values = rng.normal(size=n)
    for t in range(1, n):
        values[t] = rho * values[t - 1] + math.sqrt(1 - rho**2) * values[t]
    return sd * values


def steady(rng: np.random.Generator, n: int, change: float, sd: float, rho: float = 0.0) -> np.ndarray:
    """Changes evenly by `change` over the run: the period goes on."""
    return change * np.arange(n) / (n - 1) + noise(rng, n, sd, rho)


def broken(rng: np.random.Generator, n: int, before: float, after: float, sd: float) -> np.ndarray:
    """Changes at the rate `before` (over a whole run) up to CHANGE, at the rate `after` from there on."""
    t = np.arange(n)
    return (before * np.minimum(t, CHANGE) + after * np.maximum(t - CHANGE, 0)) / (n - 1) + noise(rng, n, sd)


def drop(rng: np.random.Generator, n: int, depth: float, rho: float = 0.0) -> np.ndarray:
    """Noise of standard deviation 1 that falls by `depth` at CHANGE."""
    return noise(rng, n, rho=rho) - depth * (np.arange(n) >= CHANGE)


def decay(rng: np.random.Generator, n: int, shape: Callable[[np.ndarray], np.ndarray], sd: float) -> np.ndarray:
    return shape(np.arange(n)) + noise(rng, n, sd)


def exponential(t: np.ndarray) -> np.ndarray:
    return np.exp(-t / 12)


def power_law(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + t / 4)


def gain_is_spent(shape: Callable[[np.ndarray], np.ndarray], min_gain: float) -> int:
    """The first number of epochs after which the true curve has less than min_gain of its gain so far left."""
    values = shape(np.arange(EPOCHS))
    left = (values - values[-1]) < min_gain * (values[0] - values)
    return int(np.argmax(left)) + 1


def doubling_is_spent(shape: Callable[[np.ndarray], np.ndarray], min_gain: float) -> int:
    """The first number of epochs, not before its peak, whose doubling gains less than min_gain on the true curve."""
    epochs = np.arange(1, 10 * EPOCHS)
    gain = shape(epochs - 1) - shape(2 * epochs - 1)
    return int(epochs[np.flatnonzero(gain >= min_gain)[-1]]) + 1


def rotation(rng: np.random.Generator, n: int, sd: float) -> np.ndarray:
    """Saturating as layer rotation does: it rises at 45 degrees at epoch 15 ln(0.6 * 99 / 15) = 20.6 of 100."""
    return 0.6 * -np.expm1(-np.arange(n) / 15) + noise(rng, n, sd)
