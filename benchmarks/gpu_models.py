"""What benchmarks/gpu_overhead.py trains: ResNet-18 for small images and a decoder-only transformer, data on the card."""

import lightning as L
import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset


class OnCard(Dataset):
    """Whole batches by their indices, from tensors that are on the card: no data to wait for."""

    def __init__(self, *tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitems__(self, indices):
        indices = torch.tensor(indices, device=self.tensors[0].device)
        return [tensor[indices] for tensor in self.tensors]


def as_it_is(batch):
    return batch


class Trains(L.LightningModule):
    """Any network from inputs to logits [..., classes]."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, batch_idx):
        inputs, targets = batch
        loss = cross_entropy(self.network(inputs).flatten(0, -2), targets.flatten())
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(inputs))
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Decoder(nn.Module):
    """Token and position embedding, pre-norm transformer layers with a causal mask, a head of its own."""

    def __init__(self, layers, width, heads, tokens, length):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(tokens, width), nn.Embedding(length, width)
        layer = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, 4 * width, **layer) for _ in range(layers))
        self.head = nn.Linear(width, tokens, bias=False)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        hidden = self.tokens(x) + self.positions.weight[: x.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return self.head(hidden)


def loader(batch_size, *tensors):
    return DataLoader(OnCard(*tensors), batch_size, shuffle=True, collate_fn=as_it_is)


def small_resnet18(classes=10):
    """ResNet-18 with the stem for small images: 3 x 3, no pooling."""
    network = torchvision.models.resnet18(num_classes=classes)
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return network


def resnet18(device, small, steps):
    """ResNet-18 with the stem for small images (3 x 3, no pooling), 32 x 32 images, batch 128."""
    torch.manual_seed(0)
    batch_size, side = (8, 8) if small else (128, 32)
    with device:
        network = small_resnet18()
        n = batch_size * steps
        data = torch.randn(n, 3, side, side), torch.randint(10, (n,))
    return network, loader(batch_size, *data)


def transformer(device, small, steps):
    """About a billion weights, sequences of 256 tokens, batch 8."""
    torch.manual_seed(0)
    sizes = (2, 64, 2, 100, 16) if small else (18, 2048, 16, 32000, 256)
    with device:
        network = Decoder(*sizes)
        tokens = torch.randint(sizes[3], (8 * steps, sizes[4] + 1))
    return network, loader(8, tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
