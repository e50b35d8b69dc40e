"""The page of what the callback and the monitor cost on a GPU, from the records of gpu_overhead.py."""

from statistics import median

from scoring import table

EPOCHS, PARTS = 12, ((0, 6), (6, 9), (9, 12))
"""Of a fit of gpu_fits.py, and the epochs at each size: `GrowingImages(sizes, at=[0.5, 0.75])`."""
PAGE = """# What it costs on a GPU

How much time do the callback and the cost monitor take on a GPU? **A step with the callback takes as long as one without, as far as
these runs can show; once an epoch the callback reads the weights. `CostMonitor` takes more time, because it counts the
operations of some steps. Smaller images save seconds where the network keeps the GPU busy: with `GrowingImages`
{saved}.**

Real fits with `CriticalPeriodCallback()`, with `CostMonitor()`, with both, and without. ResNet-18 on 32 px images, batches of
128, {resnet_steps} steps an epoch; a decoder-only transformer of {weights:.2f} billion weights, batches of 8 sequences of 256
tokens, {transformer_steps} steps an epoch. The data is on the GPU. Times are medians over epochs and repeats, the first epoch left out, with
the lowest and the highest. Epochs are very short here, so what happens once an epoch counts for much more than in a real run.
*Added* is what an epoch takes more than without.

{machine}

{steps}
The monitor counts the operations of the first step of each epoch and of one in 211 steps; these runs counted one in 47. A counted
step takes longer than a plain one, which shows in epochs as short as these.

## One measurement of layer rotation

{weights:.2f} billion weights in {layers} layers, {gib:.1f} GiB of initial weights, once an epoch; milliseconds, in the order of the measurements.

{looks}
The first measurement with a copy on the GPU moves the copy there. For comparison, the time to move it:

{floors}
## A step by the size of the images

`python benchmarks/gpu_sizes.py`, {sizes_card}: time and operations of a step as fractions of those at full size, medians of nine.
Smaller images save time only if the network keeps the GPU busy. A small network waits for its kernels to be launched, whatever the
size. A CUDA graph, which `torch.compile(network, backend="cudagraphs", dynamic=False)` makes, launches all kernels of a pass at once.

{sizes}
## Whole fits with `GrowingImages`

`python benchmarks/gpu_fits.py`, {fits_card}: real fits with `GrowingImages(sizes, at=[0.5, 0.75])` and without it, three of each in turn,
{fit_steps} steps an epoch, random images that are on the GPU. Milliseconds of an epoch, medians; the first epoch at each size is left out.
*Time* is that of a whole fit whose images grow, as a fraction of one at full size: half of the epochs at the first size, a quarter
at the second, a quarter at the full one.

{fits}
## How to reproduce it

`python benchmarks/gpu_overhead.py judge` writes this page from `results/gpu`; do not edit it.
"""


def ms(values):
    return f"{1e3 * median(values):.1f} [{1e3 * min(values):.1f}, {1e3 * max(values):.1f}]"


def over(fits, what):
    return [value for fit in fits for value in fit[what]]


def row(record, arm):
    fits, plain = record["arms"][arm], record["arms"]["without"]
    added = 1e3 * (median(over(fits, "epoch")) - median(over(plain, "epoch")))
    return [
        record["case"],
        arm,
        ms(over(fits, "step")),
        ms(over(fits, "epoch")),
        "" if arm == "without" else f"{added:+.0f}",
        f"{median(fit['end'] for fit in fits):.2f}",
    ]


def in_order(times):
    return [[name, ", ".join(f"{1e3 * value:.0f}" for value in values)] for name, values in times.items()]


def by_size(found):
    rows = []
    for case in found["cases"]:
        times = {size: median(values) for size, values in case["seconds"].items()}
        full = list(times)[-1]
        for size, seconds in times.items():
            part, operations = seconds / times[full], case["flops"][size] / case["flops"][full]
            name = case["name"] + (", CUDA graph" if case["graph"] else "")
            rows.append([name, str(case["batch"]), size, f"{1e3 * seconds:.1f}", f"{part:.2f}", f"{operations:.2f}"])
    return table(["network, full size", "batch", "px", "a step, ms", "time", "operations"], rows)


def by_epoch(fits, epochs):
    """Median seconds of these epochs, which are 0-based."""
    return median(fit[str(epoch)] for fit in fits for epoch in epochs if str(epoch) in fit)


def epoch_times(arms):
    """Seconds of an epoch without growth and at each size, and of a whole fit with growth as a part of one without."""
    full = by_epoch(arms["full"], range(EPOCHS))
    parts = [by_epoch(arms["grown"], range(*part)) for part in PARTS]
    whole = sum((end - start) * part for (start, end), part in zip(PARTS, parts, strict=True)) / EPOCHS
    return full, parts, whole / full


def saved(found):
    """What the fits say, in words."""
    parts = {name: epoch_times(arms)[2] for name, arms in found["cases"].items()}
    large, small = parts["ResNet-50, 224 px"], parts["ResNet-18, 32 px"]
    return f"a fit of ResNet-50 at 224 px took {large:.0%} of the time, one of ResNet-18 at 32 px {small:.0%}"


def whole_fits(found):
    rows = []
    for name, arms in found["cases"].items():
        full, parts, time = epoch_times(arms)
        rows.append([name, f"{1e3 * full:.0f}", *(f"{1e3 * part:.0f}" for part in parts), f"{time:.2f}"])
    return table(["network, full size", "without it", "first size", "second size", "full size", "time"], rows)


def page(found, sizes, fits):
    """The whole page.

    Args:
        found: Records, at least one of ResNet-18 and the one of the transformer.
        sizes: The record of gpu_sizes.py.
        fits: The record of gpu_fits.py.
    """
    first, large = found[0], next(record for record in found if "looks" in record)
    head = ["case", "callbacks", "a step, ms", "an epoch, ms", "added, ms", "after the end, s"]
    words = ("card", "torch", "lightning", "python", "threads", "clock")
    return PAGE.format(
        saved=saved(fits),
        machine=", ".join(f"{word}: {first[word]}" for word in words) + ".",
        resnet_steps=first["steps"],
        transformer_steps=large["steps"],
        weights=large["weights"] / 1e9,
        layers=large["layers"],
        gib=large["bytes"] / 2**30,
        steps=table(head, [row(record, arm) for record in found for arm in record["arms"]]),
        looks=table(["initial weights", "a measurement, ms"], in_order(large["looks"])),
        sizes_card=sizes["device"],
        sizes=by_size(sizes),
        fits_card=fits["card"],
        fit_steps=fits["steps"],
        fits=whole_fits(fits),
        floors=table(["", "ms"], in_order(large["floors"])),
    )
