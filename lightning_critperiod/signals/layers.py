"""Which tensors are a model's layers: the weights that its modules compute with, whatever they are stored as."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

_WRAPPERS = ("_fsdp_wrapped_module.", "_orig_mod.", "_checkpoint_wrapped_module.")


@dataclass(frozen=True)
class Layer:
    """The weights of a module.

    Args:
        parameters: What the weights are computed from: mostly they themselves.
        weights: Returns them as they are now, sharded where the parameters are.
    """

    parameters: tuple[nn.Parameter, ...]
    weights: Callable[[], Tensor]

    @property
    def is_trainable(self) -> bool:
        """Whether the optimizer may move the weights."""
        return any(parameter.requires_grad for parameter in self.parameters)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole weights, sharded or not."""
        return tuple(self.weights().shape)

    def whole(self) -> Tensor:
        """The weights, gathered from all ranks where they are sharded: every rank must call it."""
        weights = self.weights().detach()
        return weights.full_tensor() if isinstance(weights, DTensor) else weights


def layers(module: nn.Module) -> dict[str, Layer]:
    """The weights of two or more dimensions in a module, by their names.

    A layer's weights are what its module computes with: the masked tensor under pruning, the normalized one under
    weight normalization, the result of a parametrization. They are computed without a trace, so that spectral
    normalization makes no step of its power iteration. A name is that of the plain parameter ("net.0.weight"), so that
    a layer keeps it when pruning or a parametrization is put on or taken off. Shared weights count once; weights
    without a shape yet (lazy layers) and empty ones do not.

    Args:
        module: A module of any kind.

    Returns:
        Name -> layer, in the order of the parameters; the names are free of wrappers of compilation and sharding.
    """
    found: dict[str, Layer] = {}
    seen: set[int] = set()
    for path, part in module.named_modules():
        if isinstance(part, FSDPModule):  # an evaluation leaves the root's parameters unsharded, in compute precision
            part.reshard()
        if "parametrizations" in path.split("."):
            continue
        for name, layer in _own(part):
            if any(_is_matrix(p) and id(p) not in seen for p in layer.parameters):
                found[_clean(f"{path}.{name}" if path else name)] = layer
            seen |= {id(p) for p in layer.parameters}
    return found


def _is_matrix(parameter: nn.Parameter) -> bool:
    return not is_lazy(parameter) and parameter.dim() > 1 and parameter.numel() > 0


def has_lazy_parameter(module: nn.Module) -> bool:
    """Whether a parameter gets its shape only with the first batch."""
    return any(is_lazy(parameter) for parameter in module.parameters())


def _own(part: nn.Module) -> Iterator[tuple[str, Layer]]:
    """The layers of one module without its children, biases among them."""
    if parametrize.is_parametrized(part) and isinstance(part.parametrizations, nn.ModuleDict):
        for name, parametrization in part.parametrizations.items():
            yield name, _parametrized(parametrization)
    own = dict(part.named_parameters(recurse=False))
    for name, parameter in own.items():
        stem, _, suffix = name.rpartition("_")
        # torch's older hooks keep the parameter under another name and the tensor that they compute under its own
        is_computed = isinstance(vars(part).get(stem), Tensor)
        if is_computed and suffix == "orig":
            yield stem, _masked(parameter, getattr(part, f"{stem}_mask", None))
        elif is_computed and suffix == "v" and f"{stem}_g" in own:
            yield stem, _normalized(parameter, own[f"{stem}_g"])
        elif not (is_computed and suffix == "g"):
            yield name, Layer((parameter,), lambda parameter=parameter: parameter)  # type: ignore[misc]


def _parametrized(parametrization: nn.Module) -> Layer:
    def weights() -> Tensor:
        modes = {module: module.training for module in parametrization.modules()}
        try:
            parametrization.eval()
            with torch.no_grad():
                result: Tensor = parametrization()
                return result
        finally:
            for module, mode in modes.items():
                module.training = mode

    return Layer(tuple(parametrization.parameters()), weights)


def _masked(original: nn.Parameter, mask: Tensor | None) -> Layer:
    """Under pruning. Spectral normalization has no mask: it divides by a number, which turns nothing."""
    return Layer((original,), lambda: original if mask is None else original.detach() * mask)


def _normalized(direction: nn.Parameter, length: nn.Parameter) -> Layer:
    """Under weight normalization: each slice of the direction at its own length."""
    over = [axis for axis in range(direction.dim()) if length.dim() == 0 or length.shape[axis] == 1]

    def weights() -> Tensor:
        v = direction.detach()
        size: Tensor = torch.linalg.vector_norm(v, dim=over, keepdim=True)
        return v * (length.detach() / size)

    return Layer((direction, length), weights)


def _clean(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name
