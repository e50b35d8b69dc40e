"""Probe batches: the first batches of training, on which gradients are compared at every measurement."""

import copy
import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor
from typing_extensions import override

from lightning_critperiod.recipe import require_int
from lightning_critperiod.signals.base import Signal
from lightning_critperiod.signals.gradients import batch_gradient, kernel_refusal, module_twin, trainable_kernels
from lightning_critperiod.signals.layers import has_lazy_parameter

MOST, FEWEST = 8, 2
"""Probe batches where their number is not given."""
BATCHES_A_PROBE = 100
"""Batches of an epoch for each of them: a gradient takes about as long as a training step, so they are one percent."""


class ProbeSignal(Signal):
    """A signal computed on the gradients of probe batches: the first ones that training saw, kept as they came.

    They are copied to host memory as they go into the first training steps, augmented as they are, and saved
    with every checkpoint. An epoch with fewer batches gives as many as it has. Where the model has changed so that its
    ``training_step`` takes them no longer, or has nothing trainable left, there is no value.
    """

    fewest = 1

    def __init__(self, probe_batches: int | None = None, every_n_epochs: int = 1) -> None:
        if probe_batches is not None:
            require_int("probe_batches", probe_batches, low=self.fewest)
        require_int("every_n_epochs", every_n_epochs, low=1)
        self.probe_batches = probe_batches
        self.every_n_epochs = every_n_epochs
        self._batches: list[Any] = []
        self._complete = False
        self._wanted = 0

    @abstractmethod
    def value(self, trainer: Any, pl_module: Any) -> float | None:
        """The signal's value at the weights as they are."""

    @override
    def reset(self) -> None:
        super().reset()
        self._batches, self._complete = [], False

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        refusal = _refusal(trainer, pl_module)
        is_new = not self._complete and not trainer.fast_dev_run
        if is_new and trainer.num_training_batches < self.fewest:
            refusal = f"needs {self.fewest} batches in an epoch, got {trainer.num_training_batches}"
        if refusal:
            raise ValueError(f"{type(self).__name__} {refusal}; use another signal, such as LayerRotation.")
        self._wanted = self.probe_batches or _one_percent(trainer.num_training_batches)

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self._complete or len(self._batches) >= self._wanted:
            return
        try:
            self._batches.append(_map_tensors(batch, lambda tensor: tensor.detach().to("cpu", copy=True)))
        except TypeError as error:
            if trainer.global_step == 0 and batch_idx == 0:
                raise
            self.warn_once("a batch is left out of the probes", f": {error}")

    @override
    def measure(self, trainer: Any, pl_module: Any) -> float | None:
        if len(self._batches) < self.fewest:
            return None
        self._complete = True
        if (trainer.current_epoch + 1) % self.every_n_epochs:
            return None
        if not trainable_kernels(pl_module):
            self.warn_once("no longer measured: the model has no trainable parameters of two or more dimensions.")
            return None
        try:
            return self.value(trainer, pl_module)
        except Exception as error:  # of the user's training_step, on a batch that the model took before it changed
            self.warn_once("not measured: training_step fails on a batch that was kept", f" ({error!r}).")
            return None

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"batches": list(self._batches), "complete": self._complete}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._batches, self._complete = list(state["batches"]), state["complete"]

    def gradient(self, trainer: Any, pl_module: Any, index: int) -> Tensor:
        """[d]: the flat gradient of a probe batch at the weights as they are."""
        batch = _map_tensors(self._batches[index], lambda tensor: tensor.to(pl_module.device))
        return batch_gradient(trainer, pl_module, batch, index)


def _one_percent(batches: float) -> int:
    """As many probe batches as one percent of an epoch has, from 2 to 8; 8 where its length is unknown (inf)."""
    return max(FEWEST, int(min(batches, MOST * BATCHES_A_PROBE)) // BATCHES_A_PROBE)


def _refusal(trainer: Any, pl_module: Any) -> str | None:
    """Why gradients of probe batches cannot be had in this run."""
    if not pl_module.automatic_optimization:
        return "needs automatic optimization, where training_step returns the loss"
    if "dataloader_iter" in inspect.signature(type(pl_module).training_step).parameters:
        return "needs a training_step that takes a batch, got one that takes dataloader_iter"
    if refusal := kernel_refusal(pl_module):
        return refusal
    if has_lazy_parameter(pl_module):
        return None  # it can't be copied before it has a shape
    try:
        module_twin(trainer, pl_module)
    except (TypeError, RuntimeError, AttributeError, copy.Error) as error:
        return f"needs a module that copy.deepcopy can copy, got {error!r}"
    return None


def _map_tensors(batch: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return function(batch)
    if type(batch) is dict:
        return {key: _map_tensors(value, function) for key, value in batch.items()}
    if type(batch) in {list, tuple}:
        return type(batch)(_map_tensors(value, function) for value in batch)
    if batch is None or isinstance(batch, int | float | str | bytes):
        return batch
    raise TypeError(
        "probe batches must be tensors, numbers and strings in dicts, lists and tuples, which a checkpoint can hold, "
        f"got {type(batch).__name__}; return such a batch from collate_fn, or use LayerRotation"
    )
