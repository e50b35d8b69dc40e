"""Short sequences first: training sequences that grow to their full length in the course of a run."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from lightning_critperiod.changes.batch_parts import Key, as_key, leaves, part
from lightning_critperiod.changes.batch_sequences import WHO, check_padding, find_sequences, length_of, shortened
from lightning_critperiod.changes.growing import Growing
from lightning_critperiod.rules import Rule


class GrowingLength(Growing):
    """Trains on the beginnings of sequences first and on whole ones at the end; validation and test see whole ones.

    ``training_step`` gets a copy of the batch in which tokens, labels and masks are cut to their first positions, on
    their device. A batch whose labels would then all be negative (positions that the loss ignores) stays whole. The
    first length holds until the critical period is over, then the next ones follow, and the full length holds for at
    least the last quarter of the planned epochs and in a cooldown. A guard does not cut sequences again.

    Sources: Li, Zhang, He 2022, arXiv 2108.06084 (sequence length warmup); Composer's ``SeqLengthWarmup``.

    Args:
        lengths: Positions, ascending. The full length is that of the first batch; it comes last, whether it is given or
            not. Later batches may be shorter or longer; one that is no longer than the length of its epoch stays whole.
        keys: Where the sequences (N, length, ...) are in a batch: keys of a dict, indices of a tuple, attributes,
            lists of them that lead into a nested batch. None is every tensor (N, length) of whole numbers in the batch.
        rule: Asked after every epoch about the callback's signal since the last growth; the next length follows when it
            fires. None leaves the first growth to the callback's own decision and spreads the others from there to
            three quarters of the planned epochs.
        at: Fractions of the planned epochs at which the second, third, ... length begins, ascending, up to 0.75.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of its range, or both ``rule`` and ``at`` are given. At the first batch, before
            anything is trained: there is no such sequence, a length is larger than it, the sequences differ in length
            or are padded on the left, the network takes one length only, or nothing can make the sequences grow.

    Example:
        >>> from lightning_critperiod import CriticalPeriodCallback, GrowingLength, Recipe
        >>> callback = CriticalPeriodCallback(recipe=Recipe(changes=[GrowingLength(lengths=[64, 128, 256])]))
    """

    name = "sequence_length"
    argument, things, unit = "lengths", "sequences", "positions"
    remedy = "take as many position embeddings, and as much of a mask, as the batch is long"

    def __init__(
        self,
        lengths: Sequence[int],
        keys: Sequence[int | str | Sequence[int | str]] | None = None,
        rule: Rule | None = None,
        at: Sequence[float] | None = None,
    ) -> None:
        super().__init__(lengths, rule, at)
        if isinstance(keys, str) or not isinstance(keys, Sequence | None) or (keys is not None and not keys):
            raise TypeError(f"keys must be a list of keys such as ['input_ids', 'labels'], or None, got {keys!r}")
        self.keys = None if keys is None else [as_key("keys", key) for key in keys]
        self._keys: Sequence[Key] = ()

    @override
    def find(self, batch: Any) -> int:
        self._keys = find_sequences(batch) if self.keys is None else self.keys
        length = length_of(batch, self._keys)
        check_padding(batch)
        return length

    @override
    def shrunk(self, batch: Any, size: int) -> Any:
        return shortened(batch, self._keys, size)

    @override
    def elements(self, batch: Any) -> int:
        return sum(each.numel() for key in self._keys for _, each in leaves(part(batch, key, WHO)))
