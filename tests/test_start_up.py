"""What answers without torch: counted by the modules that a command line imports, not by the clock."""

import ast
import importlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from fresh import Python

import lightning_critperiod

ROOT = Path(__file__).parents[1]
RECORD = str(ROOT / "results" / "digits" / "ours" / "seed-0.json")
SLOW = {"torch", "lightning", "pytorch_lightning", "torchmetrics", "torchvision", "codecarbon", "scipy", "sklearn"}
PROGRAM = """
import sys
from lightning_critperiod.cli import main
status = 0
try:
    main()
except SystemExit as end:
    status = end.code or 0
print(repr((status, sorted({name.partition(".")[0] for name in sys.modules}))))
"""


def answer(folder, *words):
    """Exit status, imported top-level modules, standard output and standard error of a command line."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, last = run.stdout.splitlines()
    status, modules = ast.literal_eval(last)
    return status, set(modules), "\n".join(said), run.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "usage: critperiod COMMAND"),
        (("--help",), "critperiod fit --config digits"),
        (("--version",), f"critperiod {version('lightning-critperiod')}"),
        (("compare", "--help"), "--arms"),
        (("oracle", "--help"), "--switch-epochs"),
        (("report", "--help"), "report.json"),
        (("inspect", "--help"), "metrics.csv"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_help_and_version_import_neither_torch_nor_matplotlib(tmp_path, words, text):
    status, modules, out, _ = answer(tmp_path, *words)
    assert status == 0
    assert text in out
    assert not modules & {*SLOW, "matplotlib"}


def test_a_report_is_drawn_without_torch(tmp_path):
    status, modules, out, _ = answer(tmp_path, "report", RECORD, "--output", str(tmp_path / "again.html"))
    assert status == 0
    assert "Written:" in out
    assert (tmp_path / "again.html").is_file()
    assert not modules & SLOW


def test_a_log_is_inspected_without_torch(tmp_path):
    losses = [1 / (epoch + 1) for epoch in range(20)]
    rows = "\n".join(f"{epoch},{epoch},{loss}" for epoch, loss in enumerate(losses))
    (tmp_path / "metrics.csv").write_text(f"epoch,step,val_loss\n{rows}\n")
    status, modules, out, _ = answer(tmp_path, "inspect", ".")
    assert status == 0
    assert "Plateau" in out
    assert not modules & {*SLOW, "matplotlib"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("fti",), "there is no command 'fti'"),
        (("--versoin",), "there is no command '--versoin', only fit, "),  # was "no model is given"
        (
            ("fit", "--config", "digitz"),
            "config 'digitz' is no file, and no shipped config either: cheaper/cifar10",
        ),
        (("fit", "-c", "digits", "--config=nowhere.yaml"), "config 'nowhere.yaml' is no file"),
        (("fit", "--cofnig", "digits"), "there is no option --cofnig, did you mean --config?"),
        (("validate", "--trainr.max_epochs=3"), "there is no option --trainr, did you mean --trainer?"),
        (("report", "nowhere"), "nowhere does not exist"),
        (("compare",), "config"),
        (("compare", "--config", "digits"), "needs a margin stated beforehand"),
        (("compare", "--config", "digits", "--margin", "-1"), "margin must be a number above 0, got -1"),
        (("compare", "--config", "digits", "--arms", "nothing"), "unknown arm 'nothing'"),
        (("compare", "--config", "digits", "--seeds", "0"), "seeds must be an int from 1 up, got 0"),
        (("compare", "--config", "digits", "--seed", "0"), "unrecognized arguments: --seed 0"),
        (("report", RECORD, "--outp", "again.html"), "unrecognized arguments: --outp again.html"),
        (("oracle", "--config", "digits", "--at", "3"), "give --annealing too"),
        (
            ("oracle", "--config", "small/digits", "--switch-epochs", "20"),
            "must be from 0 to 19 (max_epochs 20), got 20",
        ),
        (("oracle", "--config", "digits", "--workers", "many"), "workers"),
        (("inspect",), "run"),
        (("inspect", "nowhere"), "nowhere does not exist"),
        (("inspect", "nowhere", "--rule", "Slop"), "there is no rule 'Slop', only AtEpoch"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_a_bad_argument_is_one_line_without_torch(tmp_path, words, text):
    status, modules, _, err = answer(tmp_path, *words)
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith("critperiod: error: ")
    assert text.lower() in line.lower()  # jsonargparse 4.41 begins with a capital
    assert not modules & {*SLOW, "matplotlib"}


def test_the_options_that_a_misspelling_is_held_against_are_those_of_lightning_cli():
    from lightning_critperiod.cli.first_look import OPTIONS
    from lightning_critperiod.cli.lightning_cli import CritperiodCLI

    class Parsers(CritperiodCLI):
        """Makes the parsers and parses nothing."""

        def __init__(self):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["critperiod", "--help"])
                with pytest.raises(SystemExit):
                    super().__init__()

    parsers = Parsers()._subcommand_parsers.values()
    keys = {action.dest.partition(".")[0] for parser in parsers for action in parser._actions}
    assert len(parsers) == 4
    assert keys <= {*OPTIONS, "==SUPPRESS=="}


@pytest.mark.parametrize("package", ["", ".record", ".report", ".costs"])
def test_every_public_name_of_a_package_is_what_its_own_module_has(package):
    """Some are imported when they are asked for: after the module of that name, too."""
    room = importlib.import_module(f"lightning_critperiod{package}")
    for name in room.__all__:
        found = getattr(room, name)
        assert not isinstance(found, type(sys)), name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'lightning_critperiod' has no attribute 'Nothing'"):
        _ = lightning_critperiod.Nothing
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from lightning_critperiod import Nothing  # noqa: F401


def test_the_package_knows_its_version_and_its_names():
    assert lightning_critperiod.__version__ == version("lightning-critperiod")
    assert {"__version__", *lightning_critperiod.__all__} <= set(dir(lightning_critperiod))


FITTED = """
import sys, warnings
import lightning as L
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

missing, costs = sys.argv[1].split(","), sys.argv[2] == "costs"
for name in [module for module in sys.modules if module.partition(".")[0] in missing]:
    del sys.modules[name]  # Lightning itself imports some of these where they are installed
sys.modules.update(dict.fromkeys(missing))
from lightning_critperiod import CostMonitor, CriticalPeriodCallback, Recipe

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    callbacks = [CriticalPeriodCallback(recipe=Recipe()), *([CostMonitor()] if costs else [])]
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(callbacks=callbacks, accelerator="cpu", max_epochs=7, limit_train_batches=2, **quiet)
    trainer.fit(BoringModel(), BoringDataModule())
print(repr([str(warning.message) for warning in said if "install" in str(warning.message)]))
"""


def fitted(folder, *arguments):
    """What a training says of packages that are not installed."""
    program = folder / "fitted.py"
    program.write_text(FITTED)
    status, out, err = Python(program, *arguments, folder=folder).finish()
    program.unlink()
    assert status == 0, err
    return ast.literal_eval(out.splitlines()[-1])


def test_the_callback_trains_where_none_of_the_packages_of_report_and_costs_is_installed(tmp_path):
    assert fitted(tmp_path, "codecarbon,jsonargparse,matplotlib,rich,sklearn,scipy,yaml", "none") == []
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_missing_for_the_report_is_one_line_each_that_says_what_to_install(tmp_path):
    said = fitted(tmp_path, "codecarbon,matplotlib,rich", "costs")
    assert [
        sorted(word for word in ("codecarbon", "matplotlib", "rich") if f"pip install {word}" in line) for line in said
    ] == [
        ["codecarbon"],
        ["matplotlib"],
        ["rich"],
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
