"""A Lightning that keeps the length of an epoch elsewhere: a copy of the installed one with its attributes renamed."""

import json
import re
import shutil
from pathlib import Path

import lightning
import pytest
from fresh import Python
from outside import EPOCHS, epochs_of, rates_of, validations_of

# attribute -> the files of Lightning that know it
PLACES = {
    "val_check_batch": ["loops/fit_loop.py", "loops/training_epoch_loop.py", "trainer/trainer.py"],
    "max_batches": ["loops/fit_loop.py"],
    "limits": ["loops/fit_loop.py", "utilities/combined_loader.py"],
}
RUN = """
import json, sys, warnings
from pathlib import Path
from conftest import make_trainer
from outside import Witness, callback, loaders

settings = json.loads(sys.argv[2])
model = Witness()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    trainer = make_trainer(Path(sys.argv[1]), [callback("shrinks")], **settings)
    trainer.fit(model, **loaders())
said = sum("has no" in str(warning.message) for warning in caught)
print(json.dumps([model.batches, model.validations, model.last_rates, said]))
"""


@pytest.fixture(scope="module", params=[*PLACES, "all three"])
def renamed(request, tmp_path_factory):
    """A folder with a Lightning that has no such attribute, and the byte code of the files that stay."""
    folder = tmp_path_factory.mktemp("renamed")
    shutil.copytree(Path(lightning.__file__).parent, folder / "lightning")
    for name in PLACES if request.param == "all three" else [request.param]:
        for file in PLACES[name]:
            path = folder / "lightning" / "pytorch" / file
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(rf"\b{name}\b", f"another_{name}", text), encoding="utf-8")
    trainer = folder / "lightning" / "pytorch" / "trainer" / "trainer.py"
    if request.param in {"max_batches", "all three"}:  # the public num_training_batches knows it too
        text = trainer.read_text(encoding="utf-8")
        trainer.write_text(text.replace("fit_loop.max_batches", "fit_loop.another_max_batches"), encoding="utf-8")
    return folder


def run(renamed, tmp_path, **settings):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    return Python(script, tmp_path, json.dumps(settings), paths=[renamed, Path(__file__).parent]).finish()


def test_a_lightning_that_keeps_its_lengths_elsewhere_sets_its_loaders_up_again(renamed, tmp_path):
    status, out, err = run(renamed, tmp_path, accumulate_grad_batches=2, val_check_interval=0.5)
    assert status == 0, err
    batches, validations, rates, said = json.loads(out.splitlines()[-1])
    assert len(batches) == EPOCHS
    assert batches == epochs_of("shrinks")
    assert [tuple(v) for v in validations] == validations_of(batches, 0.5)
    assert rates == pytest.approx(rates_of(batches, accumulate=2))
    assert said == 1


@pytest.mark.parametrize("renamed", ["all three"], indirect=True)
def test_what_such_a_lightning_would_reject_in_mid_run_is_refused_before_training(renamed, tmp_path):
    status, _, err = run(renamed, tmp_path, val_check_interval=6)
    assert status != 0
    assert "val_check_interval=6 is longer than the" in err
