"""`critperiod compare --levers`: which levers apply, which recipe is recommended, and that it can be pasted."""

import dataclasses
import io
import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.cli import LightningCLI
from test_baselines import TwoLayers
from test_compare import Blobs, compare
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_critperiod.cli.lightning_cli import CritperiodCLI
from lightning_critperiod.models import ImageClassifier
from lightning_critperiod.studies.baselines import HeldRate, RecordRates, SqueezedRates
from lightning_critperiod.studies.compare.arm_jobs import ArmJobs
from lightning_critperiod.studies.compare.comparison_pages import redraw
from lightning_critperiod.studies.compare.levers.applicable import LEVERS, PLAIN, applicable
from lightning_critperiod.studies.compare.levers.recipe_text import as_python, as_yaml, settings
from lightning_critperiod.studies.compare.levers.recommendation import Recommendation, recommend
from lightning_critperiod.studies.compare.quantities import quantity
from lightning_critperiod.studies.config import read
from lightning_critperiod.studies.metric import Metric
from lightning_critperiod.studies.results import Results
from lightning_critperiod.studies.rows import Row, Summary
from lightning_critperiod.studies.sources import read_sources
from lightning_critperiod.studies.statistics import paired, verdict
from lightning_critperiod.studies.trunks import Trunks

pytestmark = pytest.mark.filterwarnings("ignore")  # the command line of a user does not turn warnings into errors

N, BATCH, SIZE = 48, 16, 8


class Pictures(L.LightningDataModule):
    """Bright and dark noise, with a declared volume."""

    def __init__(self, augmentation_multiplier: float = 1.0, pruning_ratio: float = 0.0):
        super().__init__()
        self.augmentation_multiplier, self.pruning_ratio = augmentation_multiplier, pruning_ratio

    def _loader(self, n, seed, shuffle=False):
        labels = torch.arange(n) % 2
        noise = torch.randn(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
        return DataLoader(TensorDataset(noise + labels[:, None, None, None], labels), BATCH, shuffle=shuffle)

    def train_dataloader(self):
        return self._loader(N, 0, shuffle=True)

    def val_dataloader(self):
        return self._loader(16, 1)

    def test_dataloader(self):
        return self._loader(100, 2)


def pictures(augmentation_multiplier: float = 1.0) -> L.LightningDataModule:
    """For a project without a LightningCLI."""
    return Pictures(augmentation_multiplier)


class Pooled(nn.Sequential):
    """Takes images of any size; notes those that it is given in training."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )
        self.sizes = []

    def forward(self, x):
        if self.training:
            self.sizes.append(x.shape[-1])
        return super().forward(x)


class Flat(nn.Sequential):
    """Takes images of one size only."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(SIZE * SIZE, 2))


def written(folder, epochs=2, network="Pooled", data="test_levers.Pictures", views=1.0, **more):
    model = {
        "class_path": "lightning_critperiod.models.ImageClassifier",
        "init_args": {
            "network": {"class_path": f"test_levers.{network}"},
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            # Of a length of its own, as in many projects: a shorter run would be cut off.
            "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 4}},
        },
    }
    config = {
        "seed_everything": 7,
        "model": model,
        "data": {"class_path": data, "init_args": {"augmentation_multiplier": views}},
        "trainer": {"max_epochs": epochs, "accelerator": "cpu", "enable_checkpointing": False, "logger": False},
        **more,
    }
    file = folder / "pictures.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def found(file):
    """The config of a study of levers, with its arms, by name."""
    config = read(read_sources([file]), CritperiodCLI, [PLAIN])
    config, arms = applicable(config, Metric("test_acc", "max"), 7, CritperiodCLI)
    return config, {arm.name: arm for arm in arms}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A study of three seeds with one lever, of a project without a CLI: what it printed, and its folder."""
    folder = tmp_path_factory.mktemp("levers")
    options = ("--levers", "--seeds", 3, "--margin", 60, "--results", folder)
    with pytest.MonkeyPatch.context() as patch:
        capture = io.StringIO()
        patch.setattr(sys, "stdout", capture)
        status = compare(patch, "--config", written(folder, data="test_levers.pictures"), *options)
    assert status == 0
    return capture.getvalue(), folder / "pictures-levers"


def record(folder, arm, seed=7):
    return json.loads((folder / arm / f"seed-{seed}.json").read_text())


def test_a_lever_that_does_not_apply_is_left_out_with_a_reason_before_training(compared):
    said, folder = compared
    assert {path.name for path in folder.iterdir() if path.is_dir()} - {".checkpoints"} == {
        "full",
        "growing",
        "short@growing",
    }
    assert "views is left out: the data declare no more than one view of a sample (a multiplier of 1)." in said
    assert "cooldown is left out: max_epochs is 2, expected 3 or more." in said
    assert said.index("views is left out") < said.index("full, seed 7:")


def test_the_shorter_run_has_the_flops_of_its_lever_and_the_whole_schedule(compared):
    _, folder = compared
    lever, short, full = (record(folder, arm) for arm in ("growing", "short@growing", "full"))
    assert lever["measured"]["flops"] < 0.8 * full["measured"]["flops"]
    assert short["measured"]["flops"] == pytest.approx(lever["measured"]["flops"], rel=0.03)
    rates = [[rate for rates, steps in run["comparison"]["rates"] for rate in rates * steps] for run in (short, full)]
    assert (rates[0][0], rates[0][-1]) == (rates[1][0], rates[1][-1])
    assert len(rates[0]) < len(rates[1])


def test_the_study_ends_with_one_recipe_in_files_of_its_own(compared):
    said, folder = compared
    assert len(re.findall("^- Recommended: ", said, re.MULTILINE)) == 1
    recipe = (folder / "recommended.yaml").read_text()
    assert recipe in said
    assert yaml.safe_load(recipe)["trainer"]["max_epochs"] in {1, 2}
    assert recipe in (folder / "table.md").read_text()
    assert "Trainer(" in (folder / "recommended.py").read_text()


def test_the_pages_of_levers_are_made_again_from_the_records(compared, tmp_path):
    copy = Path(shutil.copytree(compared[1], tmp_path / "pictures-levers"))
    before = pages(copy)
    redraw(copy)
    assert pages(copy) == before


def test_pages_made_again_did_not_name_an_arm_whose_every_seed_had_diverged(compared, tmp_path):
    copy = Path(shutil.copytree(compared[1], tmp_path / "pictures-levers"))
    for file in (copy / "growing").glob("*.json"):
        known = json.loads(file.read_text())
        known["metrics"]["test"]["test_acc"] = None
        file.write_text(json.dumps(known))
    for _ in range(2):
        redraw(copy)
        assert "than they are: growing (7, 8, 9)." in (copy / "table.md").read_text()


def test_the_page_of_levers_spoke_of_a_difference_between_full_and_an_arm_that_did_not_run(compared):
    assert "between ours and full" not in (compared[1] / "table.md").read_text()


def pages(folder):
    """What is in the files, without the line of the table that says where the direction of the metric is known from."""
    texts = {file.name: file.read_text() for file in folder.glob("*.*")}
    lines = texts["table.md"].splitlines()
    return {**texts, "table.md": [line for line in lines if not line.startswith("`test_acc`: ")]}


def test_the_pasted_yaml_makes_the_run_that_was_measured(compared, tmp_path, monkeypatch):
    _, folder = compared
    measured = record(folder, "growing", seed=8)
    given = settings(Recommendation("growing", None, []), measured["comparison"]["filled"], 2)
    (tmp_path / "recommended.yaml").write_text(as_yaml(given, "Recommended."))
    cli = own_cli(written(tmp_path), tmp_path / "recommended.yaml", seed=8)
    tested = cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    assert tested == [pytest.approx(measured["metrics"]["test"])]


def own_cli(*files, seed=7):
    """A LightningCLI that knows nothing of us, trained."""
    layers = [word for file in files for word in ("--config", str(file))]
    return LightningCLI(
        L.LightningModule,
        L.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        args=["fit", *layers, "--seed_everything", str(seed)],
    )


@pytest.fixture(scope="module")
def all_levers(tmp_path_factory):
    """All levers apply: name of a lever -> what it changes in the config, filled in; and the config's file."""
    file = written(tmp_path_factory.mktemp("all"), epochs=4, views=2.0)
    config, arms = found(file)
    assert [*arms] == ["full", *LEVERS, *(f"short@{name}" for name in LEVERS)]
    assert not config.notes
    filled = {name: arms[name].filled(lambda key: quantity(key, config.plan, 7, None)) for name in LEVERS}
    return filled, file, config, list(arms.values())


DOES = {
    "views": ([SIZE] * 21, [0.1]),
    "growing": ([4] * 12 + [6] * 6 + [8] * 6, [0.1]),
    "cooldown": ([SIZE] * 18, [0.1] * 12),
    "growing_cooldown": ([4] * 6 + [6] * 6 + [8] * 6, [0.1] * 12),
}
"""Lever -> the size of the images in each step, and the rates of its first steps."""


@pytest.mark.parametrize("lever", LEVERS)
def test_the_yaml_of_every_lever_fits_in_a_project_of_its_own_and_does_what_it_says(lever, all_levers, tmp_path):
    filled, file, _, _ = all_levers
    (tmp_path / "recommended.yaml").write_text(as_yaml(settings(Recommendation(lever, None, []), filled[lever], 4), ""))
    rates = tmp_path / "rates.yaml"
    rates.write_text("trainer: {callbacks+: [{class_path: lightning_critperiod.studies.baselines.RecordRates}]}")
    cli = own_cli(file, tmp_path / "recommended.yaml", rates)
    sizes, first = DOES[lever]
    assert cli.model.network.sizes == sizes
    (recorded,) = [callback for callback in cli.trainer.callbacks if isinstance(callback, RecordRates)]
    taken = [rate for values, steps in recorded.rates for rate in values * steps]
    assert taken[: len(first)] == first
    assert taken[-1] < 0.06


@pytest.mark.parametrize("lever", LEVERS)
def test_the_python_lines_make_the_same_trainer(lever, all_levers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = as_python(settings(Recommendation(lever, None, []), all_levers[0][lever], 4), "Recommended.")
    names = {}
    exec(lines, names)
    model = ImageClassifier(Pooled(), partial(torch.optim.SGD, lr=0.1))
    names["trainer"].fit(model, Pictures(2.0))
    assert model.network.sizes == DOES[lever][0]


def test_a_run_of_growing_images_would_have_gone_on_from_a_checkpoint_of_the_full_recipe(all_levers, tmp_path):
    """The full recipe keeps one for `views`; what else an arm changes in its first epochs was not looked at."""
    _, _, config, arms = all_levers
    jobs = ArmJobs(config, arms, [7], Trunks(Results(tmp_path)))
    kept = tmp_path / ".checkpoints" / "seed-7" / "full" / "epoch-3.ckpt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "seed-7.json").touch()
    goes_on = {arm.name: jobs.job(arm, 7).checkpoint for arm in arms if arm.name in LEVERS}
    assert goes_on == {"views": str(kept), "growing": None, "cooldown": None, "growing_cooldown": None}


def test_a_network_of_one_image_size_is_found_out_by_a_first_step(tmp_path):
    config, arms = found(written(tmp_path, epochs=3, network="Flat"))
    assert [*arms] == ["full", "cooldown", "short@cooldown"]
    why = [note for note in config.notes if note.startswith("growing is left out")]
    assert len(why) == 1
    assert "GrowingImages needs a network that takes images of several sizes" in why[0]


def test_without_images_and_views_and_with_one_epoch_no_lever_applies(tmp_path):
    file = written(tmp_path, epochs=1, data="test_compare.Blobs", network="Vectors")
    with pytest.raises(
        ValueError, match=r"no lever applies to pictures: views is left out: .*GrowingImages needs to know"
    ):
        found(file)


class Vectors(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arms", "ours", "full"), "the arms of --levers are its own, at equal FLOPs: leave --arms out"),
        (("--budget", "seconds"), "leave --budget out"),
        (("--seeds", 2), "levers are judged by an interval over the seeds: --levers needs at least 3 seeds, got 2"),
        (("--metric", "test_f1", "--mode", "max"), "no test metric 'test_f1' in the test of an untrained model: give "),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_trained(tmp_path, monkeypatch, capsys, options, message):
    given = ("--config", written(tmp_path), "--levers", "--margin", 1, "--results", tmp_path / "results", *options)
    assert compare(monkeypatch, *given) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("critperiod: error:")]
    assert message in line
    assert not (tmp_path / "results").exists()


ACCURACY, LOSS = Metric("test_acc", "max"), Metric("test_loss", "min")
SEEDS = range(4)
SPREAD = (-0.2, 0.1, 0.2, -0.1)


def row_of(arm, level, flops, metric, spread=SPREAD):
    """A row of these values; `full` is 50 and needs 100 FLOPs in 10 epochs."""
    values = {seed: metric.sign * level + part for seed, part in zip(SEEDS, spread, strict=True)}
    blank = {"description": "", "equal_cost": False, "passes": None, "times": {}, "switches": {}, "last_rate": 0.0}
    return Row(arm=arm, values=values, samples=flops, against={}, verdict=None, seeds_needed=None, budget="flops",
               flops=flops, epochs=flops / 10, **blank)  # fmt: skip


def summary_of(levels, metric=ACCURACY, margin=1.0, spread=(0.2, -0.1, -0.2, 0.1)):
    """Arm -> (mean, FLOPs); those of an arm that is not `full` spread otherwise."""
    full = row_of("full", 50, 100, metric)
    rows = {
        name: row_of(name, *level, metric, spread if "@" in name else SPREAD[::-1]) for name, level in levels.items()
    }
    for name, row in rows.items():
        to_full = paired(row.values, full.values)
        against = {"full": to_full}
        if f"short@{name}" in rows:
            against[f"short@{name}"] = paired(row.values, rows[f"short@{name}"].values)
        said = verdict(metric.gain(to_full), margin)
        rows[name] = dataclasses.replace(row, against=against, verdict=said)
    return Summary(metric, margin, [full, *rows.values()])


@pytest.mark.parametrize("metric", [ACCURACY, LOSS], ids=["higher is better", "lower is better"])
@pytest.mark.parametrize(
    ("levels", "arm", "max_epochs", "said"),
    [
        (
            {"a": (51, 80), "short@a": (49, 80), "b": (50, 60), "short@b": (48, 60)},
            "b",
            None,
            "it needs the fewest FLOPs",
        ),
        (
            {"a": (49.1, 60), "short@a": (48, 60), "b": (48.9, 50), "short@b": (46, 50)},
            "a",
            None,
            "it has the best mean. Whether it loses more than the margin against full is open",
        ),
        (
            {"a": (45, 60), "short@a": (40, 60), "b": (49.6, 75), "short@b": (49.9, 75)},
            "short@b",
            8,
            "What wins against a shorter run loses more than the margin against full: a. short@b is non-inferior",
        ),
        (
            {"a": (48, 60), "short@a": (48, 60), "b": (50, 95), "short@b": (50, 95)},
            "full",
            None,
            "No lever is above a shorter run of its FLOPs with its whole interval. No shorter run is shown",
        ),
    ],
    ids=["cheapest that keeps all", "best mean", "shorter", "full"],
)
def test_the_recommendation_follows_from_the_intervals(levels, arm, max_epochs, said, metric):
    recipe = recommend(summary_of(levels, metric))
    assert (recipe.arm, recipe.max_epochs) == (arm, max_epochs)
    assert said in recipe.why[0]
    assert recipe.why[0].startswith("Recommended: ")
    for lever in {name.rpartition("@")[2] for name in levels}:
        assert any(
            line.startswith(f"{lever}: ") and "against a shorter run of its FLOPs" in line for line in recipe.why
        )


def test_differences_that_are_all_equal_win_nothing():
    levels = {"a": (52, 60), "short@a": (48, 60)}
    assert recommend(summary_of(levels)).arm == "a"
    recipe = recommend(summary_of(levels, spread=SPREAD[::-1]))
    assert recipe.arm == "full"
    assert "same in every seed" not in " ".join(recipe.why)


def test_an_accuracy_of_100_percent_in_every_seed_was_undecided_without_a_reason():
    recipe = recommend(summary_of({"a": (50, 60), "short@a": (50, 60)}, spread=(-0.2, 0.1, 0.2, -0.1)))
    assert recipe.arm == "full"
    assert "is the same in every seed, which decides nothing, for: short@a." in recipe.why[-1]


def test_a_lever_that_diverges_with_a_seed_wins_nothing():
    summary = summary_of({"a": (52, 60), "short@a": (48, 60)})
    recipe = recommend(dataclasses.replace(summary, lost={"a": [5]}))
    assert recipe.arm == "full"
    assert "It cannot win: test_acc is no finite number in seed 5." in recipe.why[1]


def test_a_lever_that_diverges_with_every_seed_left_nothing_recommended():
    summary = summary_of({"a": (52, 60), "short@a": (49.9, 60)})
    rows = [row for row in summary.rows if row.arm != "a"]
    recipe = recommend(dataclasses.replace(summary, rows=rows, lost={"a": [*SEEDS]}))
    assert (recipe.arm, recipe.max_epochs) == ("short@a", 6)


def test_a_lever_won_against_a_shorter_run_that_early_stopping_had_ended():
    summary = summary_of({"a": (52, 130), "short@a": (48, 80)})
    recipe = recommend(summary)
    assert recipe.arm == "full"
    assert "What is above its shorter run with its whole interval cannot win: a." in recipe.why[0]
    assert (
        "at 30% more FLOPs (non-inferior). It cannot win: its shorter run, ended early, has 38% fewer" in recipe.why[1]
    )


def test_how_often_chance_alone_wins_is_said_where_several_levers_are_tried():
    levels = {f"{kind}{i}": (48, 60) for i in range(4) for kind in ("a", "short@a")}
    assert "4 levers were tried. Were none of them of any use, at least one would win in up to 10.0%" in " ".join(
        recommend(summary_of(levels)).why
    )


def test_without_a_lever_beside_its_shorter_run_nothing_is_recommended():
    assert recommend(summary_of({"ours": (49, 60), "short": (49, 60)})) is None


def test_a_shorter_run_goes_through_the_whole_schedule_of_a_longer_one(trainer_for):
    rates, whole = RecordRates(), [[0.1 * (1 - step / 16)] for step in range(16)]
    model = ImageClassifier(TwoLayers(), partial(torch.optim.SGD, lr=9.0))
    trainer_for(SqueezedRates(whole), rates, max_epochs=1).fit(model, Blobs(1.0))
    assert rates.rates == [(whole[step], 1) for step in range(0, 16, 2)]


def test_a_held_rate_keeps_the_warm_up(trainer_for):
    rates = RecordRates()
    schedule = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, total_steps=-1, pct_start=0.25)
    model = ImageClassifier(TwoLayers(), partial(torch.optim.SGD, lr=0.1), schedule, "step")
    trainer_for(HeldRate(), rates, max_epochs=4).fit(model, Blobs(1.0))
    taken = [values[0] for values, steps in rates.rates for _ in range(steps)]
    assert taken[:8] == sorted(taken[:8])
    assert taken[0] < 0.01
    assert taken[8:] == pytest.approx([0.1] * 24)
