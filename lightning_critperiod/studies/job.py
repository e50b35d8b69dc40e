"""One run: an arm with one seed, trained and tested in this process."""

import dataclasses
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from lightning_critperiod.report import RunRecorder
from lightning_critperiod.studies.baselines import NotApplicable, RecordRates
from lightning_critperiod.studies.config import Cli
from lightning_critperiod.studies.quiet import quiet
from lightning_critperiod.studies.study_run import StudyRun


@dataclass(frozen=True)
class Job:
    """What one run needs. Plain values: it may be sent to another process or machine.

    Args:
        config: The config of the study as YAML.
        arm: Name of the arm.
        seed: The seed of the run.
        overrides: The overrides of the arm, as it writes them.
        filled: The same with every quantity filled in.
        here: What else it changes in the config on this machine; no record tells of it.
        checkpoint: The checkpoint of a run with the same seed, to go on from; None begins at the beginning.
    """

    config: str
    arm: str
    seed: int
    overrides: dict[str, Any]
    filled: dict[str, Any]
    here: dict[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None


def train(job: Job, cli: Cli) -> StudyRun:
    """Train and test one arm with one seed, quietly, and leave no file behind.

    Args:
        job: What to train.
        cli: Runs ``fit`` by the arguments of a command line.

    Returns:
        The run.

    Raises:
        NotApplicable: A baseline does not exist for this project.
        RuntimeError: The run did not come to its end.
    """
    start = time.perf_counter()
    try:
        callbacks = carry_out(job, cli).trainer.callbacks
    except Exception as error:
        # What a baseline has to say of the project comes out as it was raised.
        if isinstance(error.__cause__, NotApplicable):
            raise NotApplicable(str(error.__cause__)) from None
        raise
    record = next(c.record for c in callbacks if isinstance(c, RunRecorder))
    if record is None or record.status != "completed" or not record.metrics.test:
        raise RuntimeError("the run left no record of its end and its test")
    return StudyRun(
        record=dataclasses.replace(record, config=None),
        arm=job.arm,
        seed=job.seed,
        overrides=job.overrides,
        filled=job.filled,
        rates=next(c.rates for c in callbacks if isinstance(c, RecordRates)),
        resumed=job.checkpoint is not None,
        wall_seconds=time.perf_counter() - start,
    )


def carry_out(job: Job, cli: Cli, command: str = "fit", last: dict[str, Any] | None = None) -> Any:
    """Run a job quietly; no file is left behind.

    Args:
        job: What is to be done.
        cli: Runs a command by the arguments of a command line.
        command: Which one.
        last: Overrides that come after all others.

    Returns:
        What ``cli`` returns.
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        changes = {"arm": job.filled, "here": job.here, "run": _of_the_run(folder), "last": last or {}}
        layers = {
            "config": _with_checkpoints_in(folder, job.config),
            **{name: json.dumps(change) for name, change in changes.items()},
        }
        arguments = [command, *(["--ckpt_path", job.checkpoint] if job.checkpoint else [])]
        for name, text in layers.items():
            file = Path(folder, f"{name}.layer.yaml")
            file.write_text(text, encoding="utf-8")
            arguments += ["--config", str(file)]
        return cli([*arguments, "--seed_everything", str(job.seed)], report=False)


def _with_checkpoints_in(folder: str, config: str) -> str:
    """A config whose callbacks write into a folder of the run, in place of a ``dirpath`` that is the user's own."""
    found = yaml.safe_load(config)
    callbacks = (found.get("trainer") or {}).get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        arguments = callback.get("init_args") or {}
        if arguments.get("dirpath") is not None:
            arguments["dirpath"] = str(Path(folder, "checkpoints"))
    text: str = yaml.safe_dump(found, sort_keys=False)
    return text


def _of_the_run(folder: str) -> dict[str, Any]:
    """The same for every arm: it says nothing and writes into a folder of its own."""
    logger = {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": folder, "name": "logs"},
    }
    return {
        "trainer": {
            "default_root_dir": folder,
            "logger": logger,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks+": [{"class_path": "lightning_critperiod.studies.baselines.RecordRates"}],
        }
    }
