"""The sequences in a training batch: which they are, and the same batch with their beginnings."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_critperiod.changes.batch_parts import Key, described, leaves, mapped, part, parts, with_part

WHO = "GrowingLength"
_GIVE = "give keys=, the indices, keys or attributes of those to cut."
_MASK = "attention_mask"
"""What transformers calls the tensor that is 0 where a sequence is padded."""


def find_sequences(batch: Any) -> list[Key]:
    """Where the sequences of a batch are: the tensors (N, length) of whole numbers.

    Returns:
        Keys of the batch; what is there may be a tensor or a collection of them. [None] if the batch is a tensor.

    Raises:
        ValueError: There is none, or there are others of the same length that would have to be cut too.
    """
    if isinstance(batch, Tensor):
        return [None]
    found: list[Key] = [key for key, value in parts(batch) if _all_sequences(value)]
    if not found:
        raise ValueError(
            "GrowingLength needs to know which parts of a batch are sequences, and found no tensor (N, length) of "
            f"whole numbers in {described(batch)}: {_GIVE}"
        )
    length = length_of(batch, found)
    for key, value in parts(batch):
        others = [] if key in found else [each for _, each in leaves(value) if length in each.shape[1:]]
        if others:
            raise ValueError(
                f"GrowingLength cuts {', '.join(map(repr, found))}, but {key!r} with shape {tuple(others[0].shape)} "
                f"may have to be cut too: {_GIVE}"
            )
    return found


def length_of(batch: Any, keys: Sequence[Key]) -> int:
    """The length of the sequences at these keys.

    Returns:
        Positions.

    Raises:
        ValueError: There is nothing at a key, or no sequence, or they differ in length.
    """
    at_keys = {key: part(batch, key, WHO) for key in keys}
    tensors = {key: [each for _, each in leaves(value)] for key, value in at_keys.items()}
    lengths = {each.shape[1] if each.ndim > 1 else 0 for found in tensors.values() for each in found}
    if not all(tensors.values()) or len(lengths) != 1 or min(lengths) < 2:
        got = described(batch) if None in at_keys else ", ".join(f"{k!r}: {described(v)}" for k, v in at_keys.items())
        raise ValueError(f"GrowingLength needs sequences (N, length, ...) of one length, got {got}: {_GIVE}")
    return int(lengths.pop())


def check_padding(batch: Any) -> None:
    """Refuse, by a ValueError, sequences that begin with padding."""
    for path, mask in leaves(batch):
        if path[-1:] == (_MASK,) and mask.ndim == 2 and not bool(mask[:, 0].all()):
            raise ValueError(
                f"GrowingLength cuts sequences to their beginnings, but {_MASK!r} says that these begin with padding: "
                "pad on the right."
            )


def shortened(batch: Any, keys: Sequence[Key], length: int) -> Any:
    """A copy of a batch with its sequences cut to their first positions.

    Args:
        batch: Of the user.
        keys: Where the sequences are.
        length: Positions.

    Returns:
        The copy; the batch itself if no sequence is longer, or if all whole numbers of one would be negative: labels of
        positions that the loss ignores, and the mean over no position is NaN.
    """
    tensors = [each for key in keys for _, each in leaves(part(batch, key, WHO))]
    if all(each.shape[1] <= length for each in tensors) or _ignores_all([each[:, :length] for each in tensors]):
        return batch
    for key in keys:
        if part(batch, key, WHO) is not None:
            batch = with_part(batch, key, mapped(part(batch, key, WHO), lambda each: _cut(each, length)))
    return batch


def _cut(tensor: Tensor, length: int) -> Tensor:
    return tensor[:, :length].contiguous()  # who gets it may take a view(-1)


def _ignores_all(tensors: Sequence[Tensor]) -> bool:
    of_whole_numbers = [each for each in tensors if _is_whole(each) and each.dtype not in {torch.bool, torch.uint8}]
    return bool(of_whole_numbers) and bool(torch.stack([(each < 0).all() for each in of_whole_numbers]).any())


def _all_sequences(value: Any) -> bool:
    tensors = [each for _, each in leaves(value)]
    return bool(tensors) and all(_is_whole(each) and each.ndim == 2 and each.shape[1] > 1 for each in tensors)


def _is_whole(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex()
