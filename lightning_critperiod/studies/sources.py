"""The files of a config as they are written: what they say is known before torch and Lightning are imported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_critperiod.studies.yaml_file import read_yaml

PARTS = ("model", "data", "optimizer", "lr_scheduler")
"""What the function of ``--build`` makes."""


@dataclass(frozen=True)
class Sources:
    """A config in one file or in layers.

    Args:
        files: The later one counts.
        layers: What is in each.
        build: The import path of the function that makes module, data and trainer, where the config does not.
    """

    files: Sequence[Path]
    layers: Sequence[dict[str, Any]]
    build: str | None = None

    @property
    def name(self) -> str:
        """The name of the last file, or of the function if there is none."""
        return self.files[-1].stem if self.files else str(self.build)

    @property
    def claim(self) -> list[dict[str, Any]]:
        """What tells the results of a study from those of another one."""
        return [*([{"build": self.build}] if self.build else []), *self.layers]

    @property
    def seed(self) -> int:
        """The config's own seed, 0 where it has none: the parsed config then has a random one."""
        numbers = [layer.get("seed_everything") for layer in self.layers]
        return next((n for n in reversed(numbers) if isinstance(n, int) and not isinstance(n, bool)), 0)

    def stated(self, key: str) -> Any:
        """What the files say of a key.

        Args:
            key: With dots, such as ``trainer.max_epochs``.

        Returns:
            None if they say nothing, or name another file that may.
        """
        said = dict(pair for layer in self.layers for pair in _flat(layer))
        return said.get(key) if said.get(key.rpartition(".")[0]) is None else None


def build_of(claim: Sequence[dict[str, Any]]) -> str | None:
    """The import path of the function in what ``Sources.claim`` returned."""
    return next((layer["build"] for layer in claim if "build" in layer), None)


def read_sources(files: Sequence[Path], build: str | None = None) -> Sources:
    """Read the files of a config.

    Args:
        files: Of which the later one counts.
        build: The import path of a function that makes module, data and trainer.

    Returns:
        What is in them.

    Raises:
        ValueError: No study can be made of them.
    """
    if not files and build is None:
        raise ValueError("give --config a config, or --build a function that makes module, data and trainer")
    sources = Sources(files, [_layer(file) for file in files], build)
    for file, layer in zip(files, sources.layers, strict=True):
        refuse_parts(build, str(file), layer)
    for key in ("model", "data"):
        _require_class(sources.name, key, [layer[key] for layer in sources.layers if layer.get(key) is not None])
    return sources


def refuse_parts(build: str | None, name: str, layer: dict[str, Any]) -> None:
    """Refuse what only ``build`` can make.

    Args:
        build: The import path of the function, if there is one.
        name: Of the config or arm.
        layer: What is in it.

    Raises:
        ValueError: It has such a part.
    """
    stated = [key for key in PARTS if layer.get(key) is not None]
    if build is not None and stated:
        raise ValueError(
            f"{name} has {stated[0]}, which {build} makes: take it out. For arms that change the model or the data, "
            "name a function for each of the two in a config (class_path), in place of --build"
        )


def _layer(file: Path) -> dict[str, Any]:
    layer = read_yaml(file, "a config")
    if layer.get("ckpt_path") is not None:
        raise ValueError(f"{file}: a study trains from the beginning, take ckpt_path out, got {layer['ckpt_path']!r}")
    return layer


def _require_class(name: str, key: str, layers: Sequence[Any]) -> None:
    """The config of a LightningCLI that was made for one class gives only the arguments, not the class."""
    stated = any(isinstance(layer, str) or "class_path" in layer for layer in layers)
    if layers and not stated:
        raise ValueError(f"{name}: {key} must have a class_path, and its arguments in init_args, got {layers[-1]!r}")


def _flat(node: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
