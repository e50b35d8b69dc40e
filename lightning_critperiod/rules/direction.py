"""Stand-in until the curated table comes."""

from typing import Literal


def direction(name: str) -> Literal["min", "max"] | None:
    """Which direction of a metric is better, None where its name does not say."""
    word = name.replace("/", "_").split("_")[-1]
    return "min" if word in {"loss", "mse"} else "max" if word in {"acc", "accuracy"} else None
