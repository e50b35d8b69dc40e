"""What torch's DataLoader keeps to itself."""

from typing import Any


def replace_parts(loader: Any, **parts: Any) -> None:
    """Give a DataLoader of ours another sampler or batch sampler; torch forbids it once a loader is made."""
    for name, value in parts.items():
        object.__setattr__(loader, name, value)


def forget_workers(loader: Any) -> None:
    """Let a copy of a DataLoader start workers of its own: it shares the persistent ones of the original."""
    loader._iterator = None
