"""docs/ending.md: the claims, what the runs say of them, and how the settings were chosen."""

import json
from statistics import fmean

from ending_judge import CLAIMS as RULINGS
from ending_judge import arms_table, at_cost, by_setup, lengths_table, load, shown, verdicts, weights_of
from ending_rules import CONSTANT, CUTS, DECAYED, MIN_GAIN, MIN_GAINS, RATES, begins, fires, rules
from scoring import table

from lightning_critperiod import Cooldown

SEEDS = 10

CLAIMS = """\
1. At least a point over EarlyStopping at no more cost. Every variant of it that costs as much as ours or more is
   compared with ours; one that costs less, with a cooldown that ends at the same cost (interpolated over log(cost)
   between the cooldowns of the seed; not below the shortest). Held if all of them are at least a point lower by their
   whole interval; refuted if the upper end for one of them is below a point.
2. Within 0.5 points of `short` by the whole interval, although it does not know the length: the lower end of ours minus
   `short` is above -0.5; refuted if the upper end is below.
3. Not below ReduceLROnPlateau at the same or less cost, with averaging and without: the lower end of the difference is
   above -0.5 points and our mean cost is not above theirs; refuted if the upper end is below 0, or our cost is above
   theirs by its whole interval.
4. Less regret over the sizes than any guessed length. The worth of an outcome is its accuracy less half a point for every
   doubling of its cost; regret is what is missing to the best of the seven lengths in the mean of a set-up. Held if
   ours is above each guess by the whole interval of the paired difference in worth; refuted if it is below one.
5. At least 40% saved within 0.2 points of the run of full length with a decayed rate, in set-ups whose full length is
   generous: those in which a cooldown at half the length is, in the mean, within 0.5 points of one at the whole. Held
   if the lower end of the difference is above -0.2 and the mean saved is at least 40%; refuted if the upper end of
   either is below."""

PAGE = """# Does a cooldown end a run better?

Is a run that ends by a cooldown as good as a run of a planned length, and better than one that ends by EarlyStopping or
ReduceLROnPlateau? The claims, the set-ups, the seeds and the settings were written down, and committed, before the first run
of the seeds of the verdict.

{state}

`python benchmarks/ending.py judge` writes this page from the runs in `results/ending`; do not edit it. More seeds:
`python benchmarks/ending.py run --data DIR` continues where it stopped, `--further` with 8,000 images and AdamW.

## What is compared

ResNet-8 on few images: digits (8 x 8), CIFAR-10 (16 x 16) and Fashion-MNIST (14 x 14, both halved), 500 images for at most
60 epochs, and 2,000 of the latter two for at most 40. Batches of 32, SGD with Nesterov momentum 0.9 and weight decay
5e-4, shifts by a pixel and, but for digits, mirror images. 500 validation images (digits 400) decide everything; accuracy
is that on 4,000 test images (digits 360), which nothing else sees. One set of settings for all set-ups.

- The trunk of a seed is a run of `EarlyCooldown` at a constant rate whose rule is not asked. The rules are asked
  afterwards about its curves, and every cooldown is a run that is resumed from the trunk's checkpoint and ended by
  `EarlyCooldown` itself, with its averaged or its raw weights. If a rule has not fired by then, the cooldown begins in time for
  the longest run.
- `cooldown` is ours: `Worthwhile(min_gain={min_gain})` on the accuracy of averaged weights. Beside it the same rule on the raw
  weights' accuracy, and `Plateau(patience=3)` on the averaged one.
- `short`: a run with a decayed rate that is given exactly the length of ours. `full`: one of the greatest length.
- `EarlyStopping` with the best epoch's weights restored, at the constant rate and in `full`.
- ReduceLROnPlateau (a tenth after 5 epochs without a better accuracy), then EarlyStopping (patience 10), the best
  epoch's weights restored; the same with averaged weights, for both decisions and in the end.
- Guessed lengths: a cooldown that ends after a quarter, half or the whole of the greatest length.
- `averaging only`: the averaged weights when our rule fires, without a cooldown. `placebo`: a cooldown whose end is ours in
  another set-up and seed (interpolated).
- Budgets of a part of the greatest length: a cooldown in time, against `full` cut off there.

Cost is the number of epochs as a part of the greatest number. Differences are paired by set-up and seed, ours minus the
other, with a 95% t-interval over all pairs. The interval treats the few set-ups as exchangeable.

## Claims

{claims}

{verdicts}
{further}
{budgets}
## Every arm

{arms}
## The lengths

Accuracy of a cooldown that ends at a part of the greatest length, and of a run of the whole with a decayed rate.

{lengths}
## The choice of the settings

Development: {development}. The constant rate of {rates} with the better mean over seven
lengths of a cooldown; for the runs with a decayed rate the best of cosine and linear from either rate, at half of the
greatest length; for `min_gain` the largest whose cooldown loses, in the mean, at most 0.5 points against the cooldown of
the whole length (between the seven cooldowns interpolated).

{choice}
What the other values would have done on the seeds of the verdict (interpolated; a hint, as nothing was claimed of it):

{others}
Left out to save time: runs with a decayed rate at all seven lengths, of both shapes and from both rates (the
best of the four at half the length takes their place).
"""


def in_words(records):
    """What held, was refuted or stays open in the five set-ups, and what ours keeps."""
    found = {"held": [], "refuted": [], "open": []}
    for number, claim in enumerate(RULINGS, 1):
        found[claim(records)[1]].append(str(number))
    said = "; ".join(f"{verdict}: {', '.join(numbers) or 'none'}" for verdict, numbers in found.items())
    means = {arm: [fmean(r.arms[arm][i] for r in records) for i in (0, 1)] for arm in ("cooldown", "short", "full")}
    return (
        f"**Of the five claims {said}.**\nThe cooldown ends after {means['cooldown'][0]:.0%} of the greatest length, in the "
        f"mean over them, with {means['cooldown'][1]:.2f}%;\na run with a decayed rate that is told this length has "
        f"{means['short'][1]:.2f}%, one of the greatest length {means['full'][1]:.2f}%."
    )


def planned(records):
    """Those of the five set-ups that the claims are about."""
    return [r for r in records if r.found["optimizer"] == "SGD" and r.found["samples"] <= 2000]


def further(records):
    """The same claims with the runs of `--further` among the others."""
    if len(records) == len(planned(records)):
        return ""
    return (
        "With the further set-ups among them: 8,000 images, and 500 with AdamW at a fiftieth of the rate and a weight decay of 0.01. The\n"
        f"verdict is the one above, over the five set-ups that were planned first:\n\n{verdicts(records)}"
    )


def budgets(records):
    """A cooldown in time for a part of the greatest length, against the run with a decayed rate that is cut there."""
    rows = []
    for cut in CUTS:
        names = [f"budget of {cut:.0%}: {how}" for how in ("cooldown", f"{DECAYED[0]}, cut")]
        ours, other = ([r.arms[name][1] for r in records] for name in names)
        points = [a - b for a, b in zip(ours, other, strict=True)]
        rows.append([f"{cut:.0%}", f"{fmean(ours):.2f}", f"{fmean(other):.2f}", shown(points)])
    head = ["budget", "cooldown in time, %", "the full run, cut, %", "difference, points"]
    return f"No claim was made about budgets:\n\n{table(head, rows)}"


def read_development(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "development").glob("*.json"))]


def constants(found):
    """Constant rate -> mean accuracy over the lengths of a cooldown."""
    return {
        rate: fmean(each["acc"] for run in found for each in run["trunks"][str(rate)]["cooldowns"].values())
        for rate in RATES
    }


def decayed(found):
    """Shape and rate -> mean accuracy at half of the greatest length."""
    return {name: fmean(run["runs"][name] for run in found) for name in found[0]["runs"]}


def trunks_of(found):
    """Greatest length, curves and cooldowns of every development run at the rate that was chosen."""
    trunks = [(run["epochs"], run["trunks"][str(CONSTANT)]) for run in found]
    return [(epochs, t["curves"], {int(k): v for k, v in t["cooldowns"].items()}) for epochs, t in trunks]


def gains(trunks):
    """min_gain -> (mean cost, mean loss in points against the cooldown of the whole length), interpolated."""
    outcomes = {}
    for gain in MIN_GAINS:
        costs, losses = [], []
        for epochs, curves, cooldowns in trunks:
            begin = begins(fires(curves, *rules(gain)["cooldown"]), epochs)
            end = begin + Cooldown().epochs(begin)
            costs.append(end / epochs)
            losses.append(cooldowns[Cooldown().start(epochs)]["acc"] - at_cost(cooldowns, end))
        outcomes[gain] = fmean(costs), fmean(losses)
    return outcomes


def others(records):
    """Every min_gain on the seeds that judge."""
    outcomes = gains([(r.epochs, r.found["curves"], r.cooldowns) for r in records])
    rows = [[f"{g}", fired(records, g), f"{cost:.0%}", f"{-loss:+.2f}"] for g, (cost, loss) in outcomes.items()]
    return table(["min_gain", "fired", "cost", "against the whole length, points"], rows)


def fired(records, gain):
    """In how many runs the rule of `cooldown` fires with this `min_gain`."""
    ends = [fires(r.found["curves"], *rules(gain)["cooldown"]) for r in records]
    return f"in {sum(end is not None for end in ends)} of {len(ends)} runs"


def choose(found):
    """What the development runs choose: constant rate, (shape, rate), min_gain."""
    by_rate, by_run = constants(found), decayed(found)
    shape, rate = max(by_run, key=by_run.get).split()
    fine = [gain for gain, (_, loss) in gains(trunks_of(found)).items() if loss <= 0.5]
    return max(by_rate, key=by_rate.get), (shape, float(rate)), max(fine, default=min(MIN_GAINS))


def choice(found):
    rows = [
        [f"constant {rate}", "", f"{acc:.2f}", "yes" * (rate == CONSTANT)] for rate, acc in constants(found).items()
    ]
    rows += [
        [name, "50%", f"{acc:.2f}", "yes" * (name == f"{DECAYED[0]} {DECAYED[1]}")]
        for name, acc in decayed(found).items()
    ]
    rows += [
        [f"min_gain {gain}", f"{cost:.0%}", f"{-loss:+.2f} against the whole length", "yes" * (gain == MIN_GAIN)]
        for gain, (cost, loss) in gains(trunks_of(found)).items()
    ]
    return table(["setting", "cost", "accuracy, points", "chosen"], rows)


def judge(folder, page):
    """Write the page from the runs."""
    records, found = load(folder), read_development(folder)
    counts = [f"{setup}: {len(runs)}" for setup, runs in by_setup(records).items()]
    done = "No run so far."
    if records:
        done = f"Seeds so far, of {SEEDS}: {'; '.join(counts)}.\n{weights_of(records)}\n\n{in_words(planned(records))}"
    arms = "".join(f"### {setup}\n\n{arms_table(runs)}\n" for setup, runs in by_setup(records).items())
    page.write_text(
        PAGE.format(
            state=done,
            min_gain=MIN_GAIN,
            claims=CLAIMS,
            verdicts=verdicts(planned(records)),
            further=further(records),
            budgets=budgets(planned(records)) if records else "",
            arms=f"### The five set-ups together\n\n{arms_table(planned(records))}\n{arms}"
            if records
            else "No runs yet.\n",
            lengths=lengths_table(records) if records else "No runs yet.\n",
            development=", ".join(f"{run['data']}, seed {run['seed']}" for run in found),
            rates=" and ".join(map(str, RATES)),
            choice=choice(found) if found else "",
            others=others(planned(records)) if records else "No runs yet.\n",
        )
    )
