"""Every config says what it is for and parses as the command line parses it."""

import sys
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.cli import LightningCLI

from lightning_critperiod import (
    CostMonitor,
    CriticalPeriodCallback,
    LayerRotation,
    Recipe,
    Slope,
    Volume,
    shipped_configs,
)
from lightning_critperiod.cli.lightning_cli import CritperiodCLI
from lightning_critperiod.shipped_configs import find_config, with_files

# LightningCLI 2.6.6 calls what jsonargparse 4.53 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")

CONFIGS = Path(__file__).parents[1] / "configs"
PAPER = CONFIGS / "paper"
BASE = PAPER / "base.yaml"
CHEAPER = CONFIGS / "cheaper"
WHOLE = [path for path in sorted(CONFIGS.rglob("*.yaml")) if path.parent not in {PAPER, CHEAPER}]
DATA = {"cifar10": 10, "cifar100": 100, "eurosat": 10, "tiny_imagenet": 200}
NETWORKS = {f"resnet{depth}": depth for depth in (20, 32, 44, 56, 86, 110)}
OPTIMIZERS = {"adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad}


class Parsing(LightningCLI):
    """The command line up to the point where it would run."""

    add_arguments_to_parser = CritperiodCLI.add_arguments_to_parser


def parsed(*configs):
    return Parsing(
        L.LightningModule,
        L.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        seed_everything_default=False,
        save_config_callback=None,
        args=[argument for config in configs for argument in ("--config", str(config))],
        run=False,
    )


@pytest.fixture(autouse=True)
def _no_arguments_of_the_test_runner(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["critperiod"])


def of_type(cls, cli):
    (callback,) = (callback for callback in cli.trainer.callbacks if isinstance(callback, cls))
    return callback


def test_the_paper_folder_holds_the_base_and_its_layers():
    assert {path.stem for path in PAPER.iterdir()} == {"base", *DATA, *NETWORKS, *OPTIMIZERS}


@pytest.mark.parametrize("config", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_names_its_claim_in_its_first_line(config):
    assert config.read_text().startswith("# Claim under test")


@pytest.mark.parametrize("config", WHOLE, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_parses_and_starts_from_three_views_of_every_image(config):
    cli = parsed(config)
    callback = of_type(CriticalPeriodCallback, cli)
    assert cli.datamodule.augmentation_multiplier == 3
    assert isinstance(callback.signal, LayerRotation)
    assert callback.rule == Slope(window=5, max_angle=45.0)
    assert callback.recipe == Recipe()
    assert of_type(CostMonitor, cli).currency == "USD"


@pytest.mark.parametrize("config", sorted(CHEAPER.iterdir()), ids=lambda path: path.stem)
def test_a_cheaper_config_is_the_recipe_that_the_headline_study_measured(config, monkeypatch):
    monkeypatch.syspath_prepend(CONFIGS.parent / "benchmarks")
    import headline_arms as study

    name = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "fashion": "Fashion-MNIST"}[config.stem]
    setup, cli = study.SETUPS[name], parsed(config)
    planned = study.plan(setup, "together", study.PEAKS["together"], None, study.CHOSEN)
    callback, data = of_type(CriticalPeriodCallback, cli), cli.datamodule
    (grown,), (expected,) = callback.recipe.changes, planned.callback.recipe.changes
    assert replace(callback.recipe, changes=()) == replace(planned.callback.recipe, changes=())
    assert (tuple(grown.sizes), tuple(grown.growth.at)) == (expected.sizes, expected.growth.at)
    assert callback.rule == planned.callback.rule
    assert (data.train_samples, data.batch_size, data.augmentation_multiplier) == (
        setup.images,
        setup.batch,
        study.VIEWS,
    )
    assert cli.trainer.max_epochs == planned.trainer["max_epochs"]
    optimizer = cli.model.optimizer(cli.model.parameters())
    warm_up, expected = (make(optimizer) for make in (cli.model.lr_scheduler, study.constant(setup)))
    assert (warm_up.start_factor, warm_up.total_iters) == (expected.start_factor, expected.total_iters)
    assert optimizer.defaults["lr"] == study.PEAKS["together"]


def test_no_two_configs_write_into_one_run_folder():
    configs = [*WHOLE, *CHEAPER.iterdir()]
    assert len({parsed(config).trainer.logger.name for config in configs}) == len(configs)


@pytest.mark.parametrize("data", DATA)
def test_the_papers_data_parse_with_their_classes(data):
    cli = parsed(BASE, PAPER / f"{data}.yaml")
    assert cli.model.network.head[-1].out_features == DATA[data]
    assert cli.datamodule.augmentation_multiplier == 3
    assert Path(cli.datamodule.data_dir).parts[0] == "data"


@pytest.mark.parametrize("network", NETWORKS)
def test_the_papers_networks_parse_with_their_depth(network):
    cli = parsed(BASE, PAPER / "cifar100.yaml", PAPER / f"{network}.yaml")
    kernels = [parameter for parameter in cli.model.network.parameters() if parameter.ndim > 1]
    assert len(kernels) == NETWORKS[network]
    assert kernels[-1].shape == (100, 64)


def test_the_papers_training_is_the_published_one():
    cli = parsed(BASE, PAPER / "cifar10.yaml")
    optimizer = cli.model.optimizer(cli.model.parameters())
    callback = of_type(CriticalPeriodCallback, cli)
    assert cli.trainer.max_epochs == 200
    assert isinstance(optimizer, torch.optim.SGD)
    assert {key: optimizer.defaults[key] for key in ("lr", "momentum", "nesterov", "weight_decay")} == {
        "lr": 0.01,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0,
    }
    assert callback.rule == Slope.published()
    assert callback.recipe == Recipe(after=Volume(), annealing_fraction=0.0)


def test_the_papers_rate_falls_to_a_tenth_at_100_and_150():
    cli = parsed(BASE, PAPER / "cifar10.yaml")
    optimizer = cli.model.optimizer(cli.model.parameters())
    scheduler = cli.model.lr_scheduler(optimizer)
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.01] * 100 + [0.001] * 50 + [0.0001] * 50)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_papers_other_optimizers_replace_sgd_and_all_its_arguments(name):
    cli = parsed(BASE, PAPER / "cifar10.yaml", PAPER / f"{name}.yaml")
    optimizer = cli.model.optimizer(cli.model.parameters())
    assert type(optimizer) is OPTIMIZERS[name]
    assert optimizer.defaults.get("momentum", 0) == 0
    assert optimizer.defaults["weight_decay"] == 0


NAMES = sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.yaml"))


def test_every_config_is_found_by_its_name_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_configs.names() == NAMES
    assert {"digits", "small/digits", "paper/resnet20"} <= set(NAMES)
    for name in NAMES:
        assert find_config(name).read_text() == (CONFIGS / f"{name}.yaml").read_text()


def test_a_users_own_file_goes_before_a_shipped_config_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("trainer: {max_epochs: 1}\n")
    assert find_config("digits") == Path("digits")
    assert find_config("small/digits").is_file()


@pytest.mark.parametrize("name", ["digitz", "digits.yaml", "small", "../configs/digits", ""])
def test_a_name_that_is_neither_is_refused_with_the_shipped_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match="no shipped config either: cheaper/cifar10, cheaper/cifar100, cheaper/fashion"
    ):
        find_config(name)


def test_names_become_files_wherever_a_command_line_takes_a_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("trainer: {max_epochs: 1}\n")
    words = ["--config", "digits", "-c", "mine.yaml", "--config=paper/adamw", "--trainer.logger", "digits"]
    digits, adamw = (str(find_config(name)) for name in ("digits", "paper/adamw"))
    expected = ["--config", digits, "-c", "mine.yaml", f"--config={adamw}", "--trainer.logger", "digits"]
    assert with_files(words) == expected
    text = "{seed_everything: 1}"  # a config itself
    assert with_files(["--config", text]) == ["--config", text]
