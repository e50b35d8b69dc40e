"""Writes the compatibility table from a run of the tests beside this file: python tests/compatibility/table.py FILE."""

import os
import sys
import tempfile
from pathlib import Path

import lightning
import pytest
import torch

HERE = Path(__file__).parent
WORDS = {"passed": "yes", "failed": "**no**", "skipped": "not run"}
SECTIONS = {
    "test_trainer_arguments.py": "Trainer arguments",
    "test_loaders.py": "Data",
    "test_modules.py": "Modules",
    "test_callbacks.py": "Callbacks of Lightning",
    "test_fits.py": "Several fits, tuning",
    "test_cooldowns.py": "A cooldown: three epochs in which the rate of each step decays to zero, then the end",
    "test_renamed_lightning.py": "A Lightning that keeps the length of an epoch elsewhere (its attributes renamed)",
}
INTRODUCTION = """# Compatibility

Each line is a test that ran: a real Trainer on the CPU whose epochs *shrink* (three views, then a quarter of the
samples, then three views again) or *grow* (one view, then three, then one). Samples, batches, validations, LR at every
epoch end and the length that Lightning counts with were compared with a slow computation from the settings alone.
"yes": the test passed; "one test": it has one direction only. A line that says "refused" or "said" is a
combination that cannot work: training does not start, or the user is told.

Made by `python tests/compatibility/table.py docs/compatibility.md` with lightning {lightning} and torch {torch}.
"""

NOTES = """## What to know beside the table

- **Private attributes of Lightning.** The length of an epoch has no public interface, so three attributes are
  written. Where one of them is missing, Lightning is made to set its train dataloaders up again whenever the volume
  changes (last section). That gives the same run, restarts the workers, and makes Lightning itself refuse, before the
  first batch, a `val_check_interval` longer than a shrunk epoch, and a fraction in `limit_train_batches` that leaves no
  batch of one.
- **Several loaders in "max_size_cycle".** A loader that is shorter than the epoch starts again, as without the
  callback. From the switch on it repeats the order that it had in this epoch, with the same kept subset.
- **Several processes** are in `tests/test_distributed.py`: DDP with 2 and 4 ranks on gloo in every launch, two nodes,
  FSDP2.
- **A cooldown in a run without a last epoch** with both progress bars, under DDP and FSDP2, and resumed from every
  moment, is in `tests/test_cooldown*.py`.
- **One GPU** is in `tests/test_gpu.py`: full, half and bfloat16 precision, `torch.compile`, FSDP2 on one card.
  The tests are skipped where there is none; they last passed on an NVIDIA H200 with torch 2.11.
- **Not tried**: NCCL between GPUs, FSDP1 (`FSDPStrategy`), DeepSpeed, TPUs.
"""


class Results:
    """Collects (file, setting) -> case -> outcome."""

    def __init__(self):
        self.rows = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        if report.when != "call" and not (report.when == "setup" and report.skipped):
            return
        path, _, rest = report.nodeid.partition("::")
        name, _, parameters = rest.partition("[")
        setting, case = parameters.rstrip("]"), "both"
        for word in ("shrinks", "grows"):
            if setting == word or setting.endswith(f"-{word}"):
                setting, case = setting.removesuffix(word).rstrip("-"), word
        label = name.removeprefix("test_").replace("_", " ")
        label = setting if name == "test_a_trainer_argument" else f"{label}: {setting}" if setting else label
        self.rows.setdefault(Path(path).name, {}).setdefault(label, {})[case] = WORDS[report.outcome]


def table(rows):
    yield "| setting | shrinks | grows |"
    yield "|---|---|---|"
    for label, cases in rows.items():
        shrinks, grows = cases.get("shrinks", cases.get("both", "")), cases.get("grows", "one test")
        yield f"| {label.replace('|', '/')} | {shrinks} | {grows} |"


def document(results):
    yield INTRODUCTION.format(lightning=lightning.__version__, torch=torch.__version__)
    for file, title in SECTIONS.items():
        yield f"## {title}\n"
        yield "\n".join(table(results.rows[file])) + "\n"
    yield NOTES


def main():
    target = Path(sys.argv[1])
    results = Results()
    pytest.main(["-q", "-p", "no:randomly", str(HERE)], plugins=[results])
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
        file.write("\n".join(document(results)))
    os.replace(file.name, target)


if __name__ == "__main__":
    main()
