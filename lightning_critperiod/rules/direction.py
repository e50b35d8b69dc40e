"""Whether a metric of a given name is better lower or higher: a default, and whoever uses it says so."""

import re
from typing import Literal

# These decide wherever they stand: "loss_dice", "error_top1".
_LOSSES = frozenset({"loss", "losses", "error", "errors", "err"})
# fmt: off
_LOWER = _LOSSES | {
    "bce", "brier", "cer", "ece", "eer", "fid", "fvd", "kid", "lpips", "mae", "mape", "mse", "msle", "nll",
    "perplexity", "ppl", "rmse", "rmsle", "smape", "wer",
}
_HIGHER = frozenset({
    "acc", "accuracy", "ap", "auc", "aupr", "auprc", "auroc", "bleu", "chrf", "dice", "f1", "fbeta", "iou", "jaccard",
    "kappa", "map", "mcc", "miou", "mrr", "ndcg", "precision", "psnr", "r2", "recall", "return", "reward", "rewards",
    "rouge", "sensitivity", "specificity", "ssim", "top1", "top5",
})
# fmt: on


def direction(name: str) -> Literal["min", "max"] | None:
    """Which way a metric is better, by the words of its name; None where they do not say.

    Whole words are looked up in a short list, never parts of them. A loss or an error anywhere in the name decides;
    else the last known word does. Whatever uses it says which direction it took and how to give the other one, and
    asks if it is None.

    Args:
        name: As it was logged. Words end at a sign other than a letter or a digit, and where a capital begins one;
            digits at the end of a word don't matter.

    Returns:
        "min" if lower is better, "max" if higher is.

    >>> direction("val/loss_dice"), direction("metrics/mAP50-95(B)"), direction("test_BinaryF1Score")
    ('min', 'max', 'max')
    >>> direction("val_terrain_iou"), direction("val_SMAPE"), direction("val_terrain")
    ('max', 'min', None)
    """
    words = _words(name)
    if _LOSSES & set(words):
        return "min"
    last = next((word for word in reversed(words) if word in _LOWER | _HIGHER), None)
    return None if last is None else "min" if last in _LOWER else "max"


def _words(name: str) -> list[str]:
    """In lower case; a word that is not in the lists is taken apart at its capitals."""
    found = []
    for word in re.findall(r"[A-Za-z0-9]+", name):
        parts = [word] if _known(word) else re.findall(r"[A-Z]+[0-9]*(?![a-z])|[A-Z]?[a-z]+[0-9]*", word)
        found += [_known(part) or part.lower() for part in parts]
    return found


def _known(word: str) -> str:
    """The word of the lists that this one is, with or without its last digits; empty if none."""
    forms = word.lower(), word.lower().rstrip("0123456789")
    return next((form for form in forms if form in _LOWER | _HIGHER), "")
