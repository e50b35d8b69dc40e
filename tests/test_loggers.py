"""What our callbacks leave on loggers, each tried with the real package."""

import io

import pytest
import torch
from conftest import Declares, TinyModel
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Volume
from lightning_critperiod.plotting import figures
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.recorder import RunRecorder
from lightning_critperiod.recorder.artifacts import TAG
from lightning_critperiod.report.markdown import markdown

EPOCHS, END = 5, 2
RECIPE = Recipe(during=Volume(2), after=Volume(pruning_ratio=0.5), annealing_fraction=0)


@pytest.fixture
def events():
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: the extra loggers brings it",
    )

    def read(folder):
        found = accumulator.EventAccumulator(
            str(folder), size_guidance=dict.fromkeys(("scalars", "images", "tensors"), 0)
        )
        found.Reload()
        return found

    return read


@pytest.fixture
def fit(tmp_path, trainer_for):
    def run(*callbacks, fail=None, **options):
        callback, recorder = CriticalPeriodCallback(rule=AtEpoch(END), recipe=RECIPE), RunRecorder()
        loggers = [TensorBoardLogger(tmp_path, "tb", version=0), CSVLogger(tmp_path, "csv", version=0)]
        options = {"max_epochs": EPOCHS, "logger": loggers, "log_every_n_steps": 1, **options}
        trainer = trainer_for(callback, recorder, *callbacks, **options)
        model = TinyModel()
        if fail is not None:
            model.on_train_epoch_start = fail
        trainer.fit(model, datamodule=Declares())
        return trainer, callback, recorder

    return run


def texts_of(found):
    tensors = found.Tensors(f"{TAG}/report/text_summary")
    return [tensor.tensor_proto.string_val[0].decode() for tensor in tensors]


@pytest.mark.filterwarnings("ignore:.*np.bool8.*")
def test_tensorboard_has_every_epochs_scalars(fit, events, tmp_path):
    _, callback, _ = fit()
    found = events(tmp_path / "tb" / "version_0")
    expected = {
        "layer_rotation": list(callback.history.values()),
        "augmentation_multiplier": [2, 2, 1, 1, 1],
        "pruning_ratio": [0, 0, 0.5, 0.5, 0.5],
        "over": [0, 1, 1, 1, 1],
    }
    for name, values in expected.items():
        assert [event.value for event in found.Scalars(f"{TAG}/{name}")] == pytest.approx(values)


def test_tensorboard_has_the_report_and_its_figures(fit, events, tmp_path):
    trainer, _, recorder = fit()
    found = events(tmp_path / "tb" / "version_0")
    assert texts_of(found) == [markdown(recorder.record)]
    captions = {f"{TAG}/{caption}" for caption in figures(recorder.record)}
    assert f"{TAG}/Signal and verdict, by epoch" in captions
    assert set(found.Tags()["images"]) == captions
    assert {event.step for caption in captions for event in found.Images(caption)} == {trainer.global_step}


def test_the_images_are_dark_on_white(fit, events, tmp_path):
    from matplotlib.image import imread

    fit()
    image = events(tmp_path / "tb" / "version_0").Images(f"{TAG}/Signal and verdict, by epoch")[0]
    pixels = torch.from_numpy(imread(io.BytesIO(image.encoded_image_string)).copy())[..., :3]
    assert pixels[0, 0].tolist() == [1, 1, 1]
    assert pixels.mean() > 0.8


def test_a_run_that_dies_leaves_its_report_on_tensorboard(fit, events, tmp_path):
    def fail():
        raise RuntimeError("lights out")

    with pytest.raises(RuntimeError, match="lights out"):
        fit(fail=fail)
    (text,) = texts_of(events(tmp_path / "tb" / "version_0"))
    assert "interrupted" in text
    assert "lights out" in text


def test_the_progress_bar_shows_the_verdict(fit):
    seen = {}

    class Bar(TQDMProgressBar):
        def on_train_epoch_start(self, trainer, *_):
            seen[trainer.current_epoch] = self.get_metrics(trainer, trainer.lightning_module).get(f"{TAG}/over")
            super().on_train_epoch_start(trainer, *_)

    fit(Bar(), enable_progress_bar=True)
    assert seen == {0: None, 1: 0, 2: 1, 3: 1, 4: 1}
