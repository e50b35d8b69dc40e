"""A checkpoint of the present version, kept as a file, goes on; so does one without a version number."""

from pathlib import Path

import lightning as L
import pytest
import torch
from conftest import TinyData, TinyModel, make_trainer

from lightning_critperiod import AtEpoch, CostMonitor, CriticalPeriodCallback, Recipe, Volume

# The oldest Lightning that is tested warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:The loaded checkpoint was produced with Lightning")

KEPT = Path(__file__).parent / "data" / "version_2.ckpt"
"""After epoch 2 of 6 of the run of ``callbacks()``; write it again, under the next number, when the state changes."""


def callbacks():
    recipe = Recipe(after=Volume(pruning_ratio=0.5), annealing_fraction=0)
    return [CriticalPeriodCallback(rule=AtEpoch(2), recipe=recipe), CostMonitor()]


def resume(tmp_path, path):
    L.seed_everything(1, verbose=False)
    ours, model = callbacks(), TinyModel()
    make_trainer(tmp_path, ours).fit(model, TinyData(shuffle=False), ckpt_path=path, weights_only=True)
    return ours[0], ours[1], model


def kept():
    return torch.load(KEPT, weights_only=True)


def of_callback(checkpoint):
    (key,) = [key for key in checkpoint["callbacks"] if key.startswith("CriticalPeriodCallback")]
    return checkpoint["callbacks"][key]


def assert_goes_on(tmp_path, path):
    callback, monitor, model = resume(tmp_path, path)
    before = of_callback(kept())
    assert callback.end_epoch == before["end_epoch"] == 2
    assert {epoch: callback.history[epoch] for epoch in range(3)} == before["history"]
    assert {epoch: len(drawn) for epoch, drawn in model.drawn().items()} == {3: 16, 4: 16, 5: 16}
    assert [costs.samples for costs in monitor.epochs.values()] == [33, 33, 16, 16, 16, 16]


def test_a_checkpoint_of_the_present_version_is_kept_and_goes_on(tmp_path):
    assert of_callback(kept())["version"] == 2
    assert_goes_on(tmp_path, KEPT)


def test_a_checkpoint_of_the_first_version_goes_on(tmp_path):
    """It had no version number, no settings, no guard, no states of changes and no budget."""
    checkpoint = kept()
    for name in ("version", "settings", "guard", "changes", "budget"):
        del of_callback(checkpoint)[name]
    path = tmp_path / "version_1.ckpt"
    torch.save(checkpoint, path)
    assert_goes_on(tmp_path, path)


def test_the_whole_run_ends_with_the_weights_of_the_resumed_one(tmp_path):
    L.seed_everything(1, verbose=False)
    torch.manual_seed(0)
    whole = TinyModel()
    make_trainer(tmp_path, callbacks()).fit(whole, TinyData(shuffle=False))
    _, _, resumed = resume(tmp_path, KEPT)
    for ours, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), abs=1e-6)
