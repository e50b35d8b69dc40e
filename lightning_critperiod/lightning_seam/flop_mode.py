"""Floating-point operations of what runs inside, by torch's own formulas."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from typing_extensions import override

from lightning_critperiod.lightning_seam.safely import Safely

aten = torch.ops.aten


class FlopMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the FLOPs of the operations that run inside, which stay what they are without it.

    A multiplication of m x k by k x n counts 2 m n k. The formulas are those of ``torch.utils.flop_counter``, the
    user's own ``register_flop_formula`` included. ``FlopCounterMode`` itself would let a compiled module run
    uncompiled, hooks every module, and returns nothing from an operator of higher order.

    Args:
        safely: What a formula that fails is told to.

    Attributes:
        flops: So far.
    """

    supports_higher_order_operators = True

    def __init__(self, safely: Safely) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self._safely = safely

    @classmethod
    @override
    def ignore_compile_internals(cls) -> bool:
        return True  # what a compiled module runs is counted when it runs, and it is compiled once

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, FakeTensor) for kind in types):
            return func(*args, **(kwargs or {}))  # DTensor asks for the shape of a result: nothing is computed
        if any(kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__ for kind in types):
            return NotImplemented  # a tensor of another kind: what it is made of is counted
        kwargs = kwargs or {}
        if _is_composite(func):  # inside inference mode, say, nn.Linear does not arrive in its parts
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        packet = getattr(func, "_overloadpacket", func)
        formula = flop_registry.get(packet) or _MORE.get(packet)
        if formula is not None:
            with self._safely("counting FLOPs"):
                self.flops += int(formula(*args, **kwargs, out_val=out))
        return out


def unmakable_tensor() -> str | None:
    """A kind of tensor that can't be made inside ``FlopMode``.

    What calls ``torch.Tensor.__new__(cls, tensor)`` raises a RuntimeError under any dispatch mode. ``as_subclass`` and
    ``_make_subclass``, which torchvision takes, do not.

    Returns:
        Its name; None if this process knows none.
    """
    kinds = [kind for kind in _subclasses(torch.Tensor) if kind.__module__.partition(".")[0] not in _SAFE]
    return next((kind.__name__ for kind in kinds if "__new__" in _names(kind.__new__)), None)


_SAFE = ("torch", "torchvision")


def _subclasses(kind: type) -> set[type]:
    found: set[type] = set(kind.__subclasses__())
    return found.union(*map(_subclasses, found))


def _names(new: Any) -> Sequence[str]:
    """What a ``__new__`` calls; one that is inherited from ``torch.Tensor`` is the call itself."""
    code = getattr(new, "__code__", None)
    return code.co_names if code is not None else ("__new__",)


@cache
def _is_composite(func: Any) -> bool:
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return hasattr(func, "decompose") and bool(func.has_kernel_for_dispatch_key(key))  # not of higher order


def _layer(times: int) -> Callable[..., int]:
    """A recurrent layer of oneDNN: in every step and for every sample the product with both weight matrices."""

    def flops(x: torch.Tensor, of_input: torch.Tensor, of_state: torch.Tensor, *_: Any, **__: Any) -> int:
        return times * 2 * x.shape[:-1].numel() * (of_input.numel() + of_state.numel())

    return flops


def _layers(times: int) -> Callable[..., int]:
    """All recurrent layers of cuDNN or MIOpen, which get their weight matrices and biases as one list."""

    def flops(x: torch.Tensor, weights: Sequence[torch.Tensor], *_: Any, **__: Any) -> int:
        return times * 2 * x.shape[:-1].numel() * sum(weight.numel() for weight in weights if weight.ndim > 1)

    return flops


_MORE = {
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        aten._scaled_dot_product_flash_attention_backward
    ],
    aten.mkldnn_rnn_layer: _layer(1),
    aten.mkldnn_rnn_layer_backward: _layer(2),
    aten._cudnn_rnn: _layers(1),
    aten._cudnn_rnn_backward: _layers(2),
    aten.miopen_rnn: _layers(1),
    aten.miopen_rnn_backward: _layers(2),
}
"""What torch has no formula for. The backward of a layer multiplies twice: for its input and for its weights."""
