"""Whether a metric is the better the lower or the higher it is, by the words in its name."""

import re
from typing import Literal

_LOWER = frozenset({"loss", "err", "error", "perplexity", "mse", "mae", "mape", "smape", "wer", "cer", "fid", "lpips"})
_HIGHER = frozenset({"acc", "accuracy", "auc", "auroc", "f1", "iou", "dice", "precision", "recall", "psnr", "bleu"})


def direction(name: str) -> Literal["min", "max"] | None:
    """The direction of a metric; None where its name does not say it."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*(?![a-z])", name)}
    lower, higher = bool(words & _LOWER), bool(words & _HIGHER)
    if lower == higher:
        return None
    return "min" if lower else "max"
