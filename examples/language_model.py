"""A language model: a tiny transformer that reads Python's own documentation, character by character.

With EarlyCooldown the run ends when a longer one is not worth it: the learning rate decays to zero, and the epochs
that are left out are saved.

    python examples/language_model.py            # at most 30 epochs
    python examples/language_model.py --plain    # 30 epochs, without the callback
"""

import argparse
from pydoc_data.topics import topics

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod import CostMonitor, EarlyCooldown

LENGTH = 24  # characters that the model looks at


def encoded() -> Tensor:
    """The first topics of Python's help, as numbers from 0 to 94: the printable ASCII characters."""
    text = "\n".join(topics[name] for name in sorted(topics))[:40_000]
    return torch.tensor([ord(letter) - 32 for letter in text if " " <= letter <= "~"])


class Pieces(L.LightningDataModule):
    """Pieces of the text: 9 of 10 for training, the last one for validation."""

    def setup(self, stage: str) -> None:
        text = encoded()
        pieces = text[: len(text) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
        cut = len(pieces) * 9 // 10
        self.train_set, self.val_set = TensorDataset(pieces[:cut]), TensorDataset(pieces[cut:])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train_set, batch_size=64, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.val_set, batch_size=512)


class LanguageModel(L.LightningModule):
    """A transformer of one layer; logs the cross-entropy in bits per character."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.letters = nn.Embedding(95, width)
        self.places = nn.Embedding(LENGTH, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, 95)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH))

    def loss(self, pieces: Tensor) -> Tensor:
        x = self.letters(pieces[:, :-1]) + self.places.weight
        x = self.layer(x, src_mask=self.mask, is_causal=True)
        return F.cross_entropy(self.head(x).flatten(0, 1), pieces[:, 1:].flatten())

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch[0])

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        self.log("val_bits", self.loss(batch[0]) / torch.tensor(2.0).log(), batch_size=len(batch[0]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def main() -> None:
    parser = argparse.ArgumentParser(description="A language model, with and without EarlyCooldown.")
    parser.add_argument("--plain", action="store_true", help="Train all epochs, without the callback.")
    plain = parser.parse_args().plain

    L.seed_everything(0)
    # End when twice as many epochs would gain less than a quarter of a bit per character.
    ours = [EarlyCooldown("val_bits", mode="min", min_gain=0.25), CostMonitor()]
    trainer = L.Trainer(
        max_epochs=30,
        accelerator="cpu",
        default_root_dir="runs/language_model",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if plain else ours,
    )
    model, data = LanguageModel(), Pieces()
    trainer.fit(model, datamodule=data)
    trainer.validate(model, datamodule=data)


if __name__ == "__main__":
    main()
