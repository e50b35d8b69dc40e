"""Gradient confusion without an extra pass: on the gradients that training computes anyway."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_critperiod.recipe import require_number
from lightning_critperiod.rules.own_rules import OWN_RULES
from lightning_critperiod.signals.base import Signal
from lightning_critperiod.signals.gradient_confusion import cosine_spread
from lightning_critperiod.signals.gradients import kernel_refusal, trainable_kernels


class TrainingGradientConfusion(Signal):
    """Largest cosine similarity between the gradients of an epoch's last optimizer steps, in [-1, 1]: no extra pass.

    value = max over i < j of cos(g_i, g_j), g_i the gradient that the i-th of the last ``steps`` optimizer steps used,
    flattened over the trainable weight matrices (ndim > 1). It resembles ``GradientConfusion``, but differs from it:
    the weights move from one gradient to the next; the batches are other ones in every epoch; BatchNorm and dropout
    work as in training; a gradient is that of a whole step, accumulated over ``accumulate_grad_batches`` and averaged
    over the ranks. As there, the optimizer's weight decay and gradient clipping are not in it. Do not use it in its
    place: on the handwritten digits it costs a twentieth as much and does not follow it at all (rank correlation over
    60 epochs 0.07 [-0.13, 0.11], 5 seeds; docs/calibration.md).

    Of several steps on one batch (LBFGS, or manual optimization) the last counts. A gradient that is not finite gives
    no value, nor does an epoch with a single step. Memory is ``steps`` times the size of these matrices, on their
    device, from the first of these steps to the end of the epoch; a checkpoint saved in that time, such as one after
    validation, holds them too. Gradients of earlier steps are not copied, unless the length of the epoch is unknown or
    the optimization is manual: then every step's is.

    Source: as ``GradientConfusion``; on the gradients of training it is ours.

    Args:
        steps: How many optimizer steps are compared, at least 2.

    Attributes:
        last: "max", "mean" and "min" over the pairs at the last measurement.

    Raises:
        TypeError: ``steps`` is not a whole number.
        ValueError: ``steps`` is below 2. Before training: there is more than one optimizer, the module is sharded or
            has no trainable weight matrix, or an epoch has a single step.
    """

    name = "training_gradient_confusion"
    own_rule = OWN_RULES[name]

    def __init__(self, steps: int = 8) -> None:
        require_number("steps", steps, low=2)
        if not isinstance(steps, int):
            raise TypeError(f"steps must be a whole number, got {steps!r}")
        self.steps = steps
        self.last: dict[str, float] = {}
        self.reset()

    @override
    def reset(self) -> None:
        super().reset()
        self._forget()

    def _forget(self) -> None:
        self._gradients: Tensor | None = None  # [steps, d], a ring
        self._kept = 0  # gradients put into it in this epoch
        self._batch_idx = self._kept_batch = -1

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        refusal = kernel_refusal(pl_module)
        if len(trainer.optimizers) != 1:
            refusal = f"needs one optimizer, got {len(trainer.optimizers)}"
        elif self._is_too_short(trainer):
            refusal = "needs 2 optimizer steps in an epoch, got 1"
        if refusal:
            raise ValueError(f"{type(self).__name__} {refusal}; use another signal, such as LayerRotation.")
        if self._gradients is not None:
            self._gradients = self._gradients.to(pl_module.device)

    @staticmethod
    def _is_too_short(trainer: Any) -> bool:
        # After the period an epoch may well be that short.
        is_new = not trainer.global_step and not trainer.fast_dev_run
        return is_new and trainer.num_training_batches <= trainer.accumulate_grad_batches

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._batch_idx = batch_idx

    @override
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        left = trainer.num_training_batches - 1 - self._batch_idx
        is_late = left <= (self.steps - 1) * trainer.accumulate_grad_batches
        if is_late or math.isinf(left) or not pl_module.automatic_optimization:
            self._keep(trainable_kernels(pl_module))

    def _keep(self, kernels: list[nn.Parameter]) -> None:
        gradients = [kernel.grad for kernel in kernels]
        if all(gradient is None for gradient in gradients):
            return  # training_step skipped this batch
        sizes = [kernel.numel() for kernel in kernels]
        if self._gradients is None or self._gradients.shape[1] != sum(sizes):  # or training froze a layer
            widest = max(kernels, key=lambda kernel: kernel.dtype.itemsize)
            self._gradients, self._kept = widest.new_empty(self.steps, sum(sizes)), 0
        if self._kept == 0 or self._kept_batch != self._batch_idx:
            self._kept, self._kept_batch = self._kept + 1, self._batch_idx
        row = self._gradients[(self._kept - 1) % self.steps]
        for part, gradient in zip(torch.split(row, sizes), gradients, strict=True):
            part.zero_() if gradient is None else part.copy_(gradient.to_dense().flatten())

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        gradients = self._of_this_epoch()
        self._forget()
        if not trainable_kernels(pl_module):
            self.warn_once("no longer measured: the model has no trainable parameters of two or more dimensions.")
        if gradients is None or len(gradients) < 2:
            return None
        spread = cosine_spread(gradients)
        self.last = spread or self.last
        return spread.get("max", math.nan)

    def _of_this_epoch(self) -> Tensor | None:
        return None if self._gradients is None else self._gradients[: self._kept]

    @override
    def state_dict(self) -> dict[str, Any]:
        gradients = self._of_this_epoch()
        return {
            "gradients": None if gradients is None else gradients.to("cpu", copy=True),
            "kept": self._kept,
            "batch": self._kept_batch,
        }

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._forget()
        gradients = state["gradients"]
        if gradients is not None and len(gradients) == min(state["kept"], self.steps):  # else with other steps
            self._gradients = gradients.new_empty(self.steps, gradients.shape[1])
            self._gradients[: len(gradients)] = gradients
            self._kept, self._kept_batch = state["kept"], state["batch"]
