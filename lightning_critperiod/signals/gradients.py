"""Gradients of a batch at the weights as they are, without leaving a trace, and the cosines between gradients."""

import copy
import inspect
import random
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parameter import is_lazy

from lightning_critperiod.lightning_seam.namespace import NAMES
from lightning_critperiod.lightning_seam.torch_layers import BatchNorm, Dropout
from lightning_critperiod.signals.layers import has_lazy_parameter

_CHUNK = 2**13  # columns in one matrix product: wide enough for its full speed, and its float32 sums stay near 1e-6

_MANY = 48  # gradients from which on half a matrix product by NumPy takes less time than a whole one by torch


def gradient_cosines(gradients: Tensor) -> Tensor:
    """Cosine similarity of every pair of gradients: the Gram matrix of their unit vectors.

    c_ij = <g_i, g_j> / (|g_i| |g_j|), clipped to [-1, 1]. The inner products are one matrix product, a chunk of columns
    at a time, in float32 (float64 for float64 gradients) with float64 sums over chunks: no copy of the gradients is
    made, and gradients whose squares would overflow or vanish are scaled. On a GPU the products follow
    ``torch.set_float32_matmul_precision``.

    Source: Sankararaman et al., arXiv 1904.06963 (2020). Low similarity is high confusion.

    >>> gradient_cosines(torch.tensor([[1.0, 0.0], [2.0, 0.0], [-1.0, 1.0]]))
    tensor([[ 1.0000,  1.0000, -0.7071],
            [ 1.0000,  1.0000, -0.7071],
            [-0.7071, -0.7071,  1.0000]], dtype=torch.float64)

    Args:
        gradients: [m, d], one flat gradient a row, not changed.

    Returns:
        float64 tensor [m, m] on the CPU; NaN in the row and the column of a gradient that is zero or not
        finite.

    Raises:
        ValueError: ``gradients`` is not a matrix.
    """
    if gradients.dim() != 2:
        raise ValueError(f"gradients must be a matrix [m, d], got the shape {tuple(gradients.shape)}")
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    gram = _gram(gradients.detach(), None, dtype)
    squares = gram.diagonal()
    if not ((squares > torch.finfo(dtype).tiny * 1e14 * gradients.shape[1]) & squares.isfinite()).all():
        largest = torch.linalg.vector_norm(gradients.detach(), ord=torch.inf, dim=1, keepdim=True).to(dtype)
        gram = _gram(gradients.detach(), largest, dtype)
    norms = gram.diagonal().sqrt()
    return (gram / norms.outer(norms)).clamp(-1, 1)


def _gram(gradients: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Inner products of the rows, each divided by its ``scale`` where their squares would leave the range of dtype."""
    gram = torch.zeros(len(gradients), len(gradients), dtype=torch.float64)
    with torch.autocast(gradients.device.type, enabled=False):
        for chunk in torch.split(gradients, _CHUNK, dim=1):
            rows = chunk.to(dtype) if scale is None else chunk / scale
            gram += _product(rows).double().cpu()
    return gram


def _product(rows: Tensor) -> Tensor:
    """The rows times their transpose: of many rows on the CPU by NumPy, which does one half only (BLAS syrk)."""
    if rows.device.type != "cpu" or len(rows) < _MANY:
        return rows @ rows.T
    with np.errstate(all="ignore"):  # a gradient that is not finite is no error here
        return torch.from_numpy(rows.numpy() @ rows.numpy().T)


def trainable_kernels(module: nn.Module) -> list[nn.Parameter]:
    """The parameters whose gradients are compared: trainable, with ndim > 1; lazy ones once they have a shape."""
    return [p for p in module.parameters() if p.requires_grad and not is_lazy(p) and p.dim() > 1]


def kernel_refusal(module: nn.Module) -> str | None:
    """Why a module has no gradients that can be compared; None if it has."""
    if any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        return "needs whole parameters, got sharded ones"
    if not trainable_kernels(module) and not has_lazy_parameter(module):
        return "needs a trainable parameter of two or more dimensions"
    return None


def batch_gradient(trainer: Any, pl_module: Any, batch: Any, index: int) -> Tensor:
    """The gradient of a batch's training loss at the weights as they are, flattened over the trainable weight matrices.

    The user's own ``training_step`` computes it on a twin of the module: a copy of everything but the weights, which it
    shares, that logs nowhere. So BatchNorm statistics, metrics, counters, ``.grad``, hooks and the gradient scaler stay
    as they are. On the twin BatchNorm uses its running statistics and dropout is off, as in the authors' script: the
    loss is one function of the weights, the same at every measurement. What else is random in ``training_step`` is
    seeded by ``index``, and the generators are put back.

    Args:
        trainer: The Trainer.
        pl_module: The user's module, not a wrapper around it.
        batch: A batch on the module's device.
        index: The batch's index, handed to ``training_step``.

    Returns:
        [d] on the module's device; all NaN if ``training_step`` skipped the batch, or returned a loss that no
        parameter is in.
    """
    twin = module_twin(trainer, pl_module)
    for module in twin.modules():
        if isinstance(module, BatchNorm | Dropout):
            module.eval()
    kernels = trainable_kernels(twin)
    with _own_randomness(index, pl_module.device), torch.enable_grad():
        with trainer.precision_plugin.train_step_context():
            loss = _loss(twin, batch, index)
        if loss is None or not loss.requires_grad:
            return torch.full((sum(kernel.numel() for kernel in kernels),), torch.nan, device=pl_module.device)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scaled = loss if scaler is None else loss * scaler.get_scale()  # float16 gradients underflow otherwise
        gradients = torch.autograd.grad(scaled, kernels, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.to_dense().reshape(-1) for gradient in gradients])


def module_twin(trainer: Any, pl_module: Any) -> Any:
    """A copy of the module that shares its weights' memory and nothing else, and whose logging goes nowhere."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in pl_module.parameters()}
    for module in pl_module.modules():
        memo |= {id(t): t.detach() for t in _tensors(vars(module)) if t.grad_fn is not None}  # deepcopy refuses these
    twin = copy.deepcopy(pl_module, memo)
    for name in ("forward", "training_step"):
        vars(twin).pop(name, None)  # put there by torch.compile, and bound to the original
    vars(twin)["log"] = _log_nothing
    twin.trainer = copy.copy(trainer)
    namespace = next(name for name in NAMES if name in sys.modules)
    twin.trainer.loggers = [sys.modules[f"{namespace}.loggers.logger"].DummyLogger()]
    return twin


def _log_nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _loss(module: Any, batch: Any, index: int) -> Tensor | None:
    try:
        inspect.signature(module.training_step).bind(batch, index)
    except TypeError:
        output = module.training_step(batch)
    else:
        output = module.training_step(batch, index)
    loss: Tensor | None = output.get("loss") if isinstance(output, Mapping) else output
    return loss


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Generator[None]:
    """Every random generator starts from ``seed`` inside and is as before afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    gpus = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=[device.index] if gpus else []):
            for generator in (torch.default_generator, *gpus):
                generator.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
