"""Seconds and operations of a training step by the size of the images, on a GPU that does nothing else.

    python benchmarks/gpu_sizes.py      about a minute; writes results/gpu/sizes.json, which gpu_overhead.py judge shows

SGD with momentum under bf16 autocast, channels last, random images on the GPU. The sizes take turns, ten steps at a time, nine
times; eight steps at each size come first. With a CUDA graph, `torch.compile(network, backend="cudagraphs")`, the kernels of the
forward pass are launched all at once, and so are those of the backward pass.
"""

import json
import time
from pathlib import Path
from statistics import median

import torch
import torchvision
from gpu_models import small_resnet18
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from lightning_critperiod.models import CifarResNet

RESULT = Path(__file__).parents[1] / "results" / "gpu" / "sizes.json"
LARGE = (112, 160, 224)
CASES = [
    # name, network, sizes, batch, whether with a CUDA graph
    ("ResNet-20, 32 px", lambda: CifarResNet(20), (16, 24, 32), 128, False),
    ("ResNet-18, 32 px", small_resnet18, (16, 24, 32), 128, False),
    ("ResNet-18, 32 px", small_resnet18, (16, 24, 32), 128, True),
    ("ResNet-18, 32 px", small_resnet18, (16, 24, 32), 512, False),
    ("ResNet-18, 32 px", small_resnet18, (16, 24, 32), 512, True),
    ("ResNet-50, 224 px", lambda: torchvision.models.resnet50(num_classes=1000), LARGE, 256, False),
]
WARM_UP, STEPS, TURNS = 8, 10, 9


class Trained:
    """A network and its optimizer; steps on random images of a size."""

    def __init__(self, make, sizes, batch, graph):
        torch.manual_seed(0)
        network = make().to("cuda", memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
        self.plain = network
        self.network = torch.compile(network, backend="cudagraphs", dynamic=False) if graph else network
        self.images = {
            s: torch.randn(batch, 3, s, s, device="cuda").to(memory_format=torch.channels_last) for s in sizes
        }
        self.labels = torch.randint(10, (batch,), device="cuda")

    def steps(self, network, size, number):
        for _ in range(number):
            with torch.autocast("cuda", torch.bfloat16):
                loss = cross_entropy(network(self.images[size]), self.labels)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        torch.cuda.synchronize()

    def seconds(self, size):
        torch.cuda.synchronize()
        began = time.perf_counter()
        self.steps(self.network, size, STEPS)
        return (time.perf_counter() - began) / STEPS

    def flops(self, size):
        with FlopCounterMode(display=False) as counter:
            self.steps(self.plain, size, 1)
        return counter.get_total_flops()


def case(name, make, sizes, batch, graph):
    trained = Trained(make, sizes, batch, graph)
    for size in sizes:
        trained.steps(trained.network, size, WARM_UP)
    flops = {size: trained.flops(size) for size in sizes}
    times = {size: [] for size in sizes}
    for _ in range(TURNS):
        for size in sizes:
            times[size].append(trained.seconds(size))
    print(name, batch, graph, {size: f"{1e3 * median(values):.2f} ms" for size, values in times.items()}, flush=True)
    return {"name": name, "batch": batch, "graph": graph, "flops": flops, "seconds": times}


def main():
    found = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    found["cases"] = [case(*arguments) for arguments in CASES]
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
