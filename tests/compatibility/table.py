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

Which settings of Lightning work with a data volume that changes? All that are listed here: every line is a test, and
it passed.

A test trains with a real Trainer on the CPU. Its epochs *shrink* (three views, then a quarter of the samples, then
three views again) or *grow* (one view, then three, then one). It compares samples, batches, validations, the learning
rate at the end of every epoch and the length that Lightning counts with, with a slow computation from the settings
alone. "yes": the test passed. "one test": there is one test for both directions. A line that says "refused" or "said"
is a combination that cannot work: training does not start, or the user is told.

Made by `python tests/compatibility/table.py docs/compatibility.md` with lightning {lightning} and torch {torch}.
"""

NOTES = """## Notes

- **Private attributes of Lightning.** Lightning has no public interface for the length of an epoch, so the callback
  writes three private attributes. If one of them is missing, it makes Lightning set up its train dataloaders again
  whenever the volume changes (last section). The run is the same, but workers are restarted, and Lightning itself
  refuses two settings before the first batch: a `val_check_interval` longer than a shrunk epoch, and a fraction in
  `limit_train_batches` that leaves it without a batch.
- **Several loaders in "max_size_cycle".** A loader that is shorter than the epoch starts again, as without the
  callback. Within an epoch it then repeats its order, with the same kept subset.
- **Several processes** are in `tests/test_distributed.py`: DDP with 2 and 4 ranks on gloo in every launch, two nodes,
  FSDP2.
- **A cooldown in a run without a last epoch** with both progress bars, under DDP and FSDP2, and resumed from every
  moment, is in `tests/test_cooldown*.py`.
- **One GPU** is in `tests/test_gpu.py`: full, half and bfloat16 precision, `torch.compile`, FSDP2 on one card.
  The tests are skipped without a GPU; they last passed on an NVIDIA H200 with torch 2.11.
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
