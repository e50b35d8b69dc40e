"""Costs across processes: samples and FLOPs add up over ranks, energy over nodes."""

import os
from dataclasses import astuple
from typing import Any

import torch

from lightning_critperiod.costs.amounts import Energy


def summed(trainer: Any, samples: float, flops: float, energy: Energy | None) -> tuple[float, float, Energy | None]:
    """Samples and FLOPs over all ranks and energy over all nodes, by one reduction. Every rank calls it.

    Args:
        trainer: For its strategy.
        samples: What this rank drew; NaN if that is not known.
        flops: The FLOPs of this rank's training steps; NaN if they are not known.
        energy: What this node's meter says; ``Energy()`` on a rank without a meter, None if it failed.

    Returns:
        The sums; the energy is None if any meter failed.
    """
    if trainer.world_size == 1:
        return samples, flops, energy
    values = (float(samples), float(flops), float(energy is None), *astuple(energy or Energy()))
    mine = torch.tensor(values, dtype=torch.float64, device=trainer.strategy.root_device)
    total = trainer.strategy.reduce(mine, reduce_op="sum").tolist()
    return total[0], total[1], None if total[2] else Energy(*total[3:])


def meter_devices(trainer: Any) -> list[str] | None:
    """The driver's ids of this node's NVIDIA or AMD cards that the run uses; None is all."""
    if trainer.strategy.root_device.type != "cuda":
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return [names[i] if names else str(i) for i in trainer.device_ids]
