"""The plain computation that ``soak.py`` compares with: nothing here uses the code that is judged."""

import math

import torch
from torch.utils.data import RandomSampler, SequentialSampler, WeightedRandomSampler


def samplers(case):
    n = case["n"]
    kinds = {
        "sequential": lambda: SequentialSampler(range(n)),
        "random": lambda: RandomSampler(range(n)),
        "weighted": lambda: WeightedRandomSampler([1.0 + i % 3 for i in range(n)], n),
    }
    return kinds[case["sampler"]]()


def schedule(case, optimizer, steps):
    if case["schedule"] == "one cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))


def number(case, epoch, stream):
    """The seed of one of an epoch's two streams of random numbers, as documented."""
    return (case["seed"] * 1_000_003 + epoch * 2 + stream) % 2**63


def items(case, epoch):
    """The user's own stream of an epoch, drawn with the epoch's seed: samples, or batches of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number(case, epoch, 0))
        stream = list(samplers(case))
    return chunks(case, stream) if case["by_batch"] else stream


def chunks(case, stream):
    size = case["batch_size"]
    batches = [stream[i : i + size] for i in range(0, len(stream), size)]
    return [batch for batch in batches if len(batch) == size or not case["drop_last"]]


def kept(n, total, k, r):
    """How many different items an epoch keeps: nearest to (1 - r) n with every one seen floor(k) to ceil(k) times."""
    if k <= 1:
        return total
    fits = [m for m in range(1, n + 1) if math.floor(k) * m <= total <= math.ceil(k) * m]
    fewest = next((m for m in range(1, n + 1) if math.ceil(k) * m >= total), n)
    return min(fits, key=lambda m: abs(m - round((1 - r) * n))) if fits else fewest


def expected_epoch(case, epoch, volume, ours):
    """The batches of an epoch, one item at a time."""
    stream, (k, r) = items(case, epoch), volume
    if ours:
        total, generator = (
            round(k * (1 - r) * len(stream)),
            torch.Generator().manual_seed(number(case, epoch, 1)),
        )
        order = list(range(len(stream)))
        count = kept(len(stream), total, k, r)
        if 0 < count < len(stream):
            order = sorted(torch.randperm(len(stream), generator=generator).tolist()[:count])
        drawn = []
        while len(drawn) < total:
            drawn += [stream[i] for i in order[: total - len(drawn)]]
            order = [order[i] for i in torch.randperm(count, generator=generator).tolist()]
        stream = drawn
    batches = stream if case["by_batch"] else chunks(case, stream)
    limit = case["limit"]
    return batches[: limit if isinstance(limit, int) else max(1, int(len(batches) * limit))]


def volumes(case, end):
    """The volume of every epoch, and whether the draws are ours."""
    back = math.inf if end is None else end + math.ceil((case["epochs"] - end) * (1 - case["annealing"]) - 1e-9)
    over = [end is not None and end <= e < back for e in range(case["epochs"])]
    ours = [case["during"] != (1, 0) or (end is not None and e >= end) for e in range(case["epochs"])]
    return [(case["after"] if o else case["during"]) for o in over], ours


def expected_rates(case, batches):
    """The LR at the end of every epoch of a run of the full recipe, and its optimizer steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    accumulate, frequency, rates = case["accumulate"], case["frequency"], {}
    steps = math.ceil(batches / accumulate) * case["epochs"]
    scheduler = schedule(case, optimizer, steps)
    for epoch in range(case["epochs"]):
        for j in range(1, batches + 1):
            if (j % accumulate == 0 or j == batches) and j % frequency == 0:
                optimizer.step()
                scheduler.step()
        rates[epoch] = scheduler.get_last_lr()[0]
    return rates, steps


def expected_validations(case, batches):
    every = case["every"]
    return [
        (epoch, b)
        for epoch, n in enumerate(batches)
        for b in range(1, n + 1)
        if (epoch + 1) % case["check"] == 0
        and b % (max(1, int(n * every)) if isinstance(every, float) else min(every, n)) == 0
    ]
