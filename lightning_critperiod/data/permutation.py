"""Shuffles and subsets of any length whose items are computed where they are asked for, and never stored."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

Indices = NDArray[np.uint64]

BLOCK = 2**14
_ROUNDS, _ROUNDS_OF_FEW = 8, 24  # eight are too few to reach all orders of six items equally often
_FEW = 2**10
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_HALF = np.uint64(32)
_ZERO = np.zeros(1, np.uint64)


class Permutation:
    """A random order of 0 to n - 1 that a seed selects: item i is a function of i.

    A generalised Feistel network with cycle walking (Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains").
    A position is written as two digits, (x // b, x % b) with a even, about sqrt(n), and b = ceil(n / a). The rounds
    add a keyed hash of one digit to the other, modulo a or b by turns. Each round can be undone, so no two positions
    end at one place; a position that ends at n or above (fewer than one in b) goes through the rounds again.

    Args:
        n: How many items; below 2^62.
        seed: Non-negative integers that select the order.
    """

    def __init__(self, n: int, seed: Sequence[int]) -> None:
        self.n = n
        a = math.isqrt(max(n - 1, 0)) + 1
        a += a % 2  # two odd radices would make even permutations only
        self._radices = np.uint64(a), np.uint64(-(-max(n, 1) // a))
        self._keys = SeedSequence(seed).generate_state(_ROUNDS if n > _FEW else _ROUNDS_OF_FEW, np.uint64)

    def __call__(self, positions: Indices, block: Indices = _ZERO, size: Indices | None = None) -> Indices:
        """The items at some positions.

        Args:
            positions: From 0 to n - 1, uint64.
            block: Positions with one block number share an order, uint64; other blocks have other orders.
            size: Length of each position's order, uint64, at most n. None: all have n.

        Returns:
            The items, uint64, in the shape of ``positions``; different for different positions of one block.
        """
        tweak = np.broadcast_to(block * _ODD[2], positions.shape)
        limit = np.broadcast_to(np.uint64(self.n) if size is None else size, positions.shape)
        items = self._rounds(positions, tweak)
        outside = np.flatnonzero(items >= limit)
        while len(outside):
            items[outside] = self._rounds(items[outside], tweak[outside])
            outside = outside[items[outside] >= limit[outside]]
        return items

    def _rounds(self, positions: Indices, tweak: Indices) -> Indices:
        a, b = self._radices
        high = positions // b
        low = positions - high * b
        for even, odd in self._keys.reshape(-1, 2):
            _add(high, _hash(low + (tweak + even), a), a)
            _add(low, _hash(high + (tweak + odd), b), b)
        return high * b + low


def _hash(words: Indices, below: np.uint64) -> Indices:
    """Overwrites 64-bit words by random-looking numbers from 0 to ``below`` - 1."""
    words *= _ODD[0]
    words ^= words >> _HALF
    words *= _ODD[1]
    words >>= _HALF
    words *= below
    words >>= _HALF
    return words


def _add(digit: Indices, summand: Indices, radix: np.uint64) -> None:
    digit += summand
    np.minimum(digit, digit - radix, out=digit)  # what is below the radix wraps around to a huge number


class Subset:
    """Some of the numbers 0 to n - 1, chosen at random: member i is a function of i, block after block.

    The numbers are cut into blocks of 2^14 at most. Each keeps its share of the members, rounded up or down so that
    every number is as likely a member as any other; within a block every choice is equally likely. (A choice among
    all n at once would have to be stored, or be gone through from its beginning.)

    Args:
        n: How many numbers there are.
        members: How many are chosen.
        seed: Non-negative integers that select the subset.
    """

    def __init__(self, n: int, members: int, seed: Sequence[int]) -> None:
        blocks = max(1, -(-n // BLOCK))
        shift = int(SeedSequence(seed, spawn_key=(1,)).generate_state(1, np.uint64)[0]) % max(n, 1)
        starts = [block * n // blocks for block in range(blocks + 1)]
        self._starts = np.array(starts, np.uint64)
        self._before = np.array([(start * members + shift) // max(n, 1) for start in starts], np.uint64)
        self._order = Permutation(-(-n // blocks), seed)

    def __call__(self, ranks: Indices) -> Indices:
        """Members by their rank, uint64 from 0 to ``members`` - 1; ascending from block to block, not within one.

        Returns:
            The members, uint64, in the shape of ``ranks``.
        """
        after = np.searchsorted(self._before, ranks, side="right")
        block = after - 1
        start = self._starts[block]
        size = self._starts[after] - start
        return start + self._order(ranks - self._before[block], block.astype(np.uint64), size)

    def ascending(self, first: int = 0) -> Iterator[Indices]:
        """All members in ascending order, a block at a time, without the ``first`` smallest.

        Yields:
            Members of one block, uint64, ascending.
        """
        block = int(np.searchsorted(self._before, np.uint64(first), side="right")) - 1
        for begin, end in zip(self._before[block:-1].tolist(), self._before[block + 1 :].tolist(), strict=True):
            yield np.sort(self(np.arange(begin, end, dtype=np.uint64)))[max(first - begin, 0) :]
