"""What our callbacks leave on loggers, each tried with the real package."""

import io
import json
import struct
import warnings
from pathlib import Path

import pytest
import torch
from conftest import Declares, TinyModel
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger

from lightning_critperiod import AtEpoch, CriticalPeriodCallback, Volume
from lightning_critperiod.recipe import Recipe
from lightning_critperiod.record import Record
from lightning_critperiod.report import RunRecorder
from lightning_critperiod.report.loggers import TAG
from lightning_critperiod.report.markdown import markdown
from lightning_critperiod.report.page import page
from lightning_critperiod.report.plotting import figures, svgs

EPOCHS, END = 5, 2
RECIPE = Recipe(during=Volume(2), after=Volume(pruning_ratio=0.5), annealing_fraction=0)
INSTALL = "is not installed: the extra loggers brings it"
SCALARS = {
    "augmentation_multiplier": [2, 2, 1, 1, 1],
    "pruning_ratio": [0, 0, 0.5, 0.5, 0.5],
    "over": [0, 1, 1, 1, 1],
}


@pytest.fixture
def events():
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason=f"tensorboard {INSTALL}",
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
    for name, values in {**SCALARS, "layer_rotation": list(callback.history.values())}.items():
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
    with pytest.raises(RuntimeError, match="lights out"):
        fit(fail=dies)
    (text,) = texts_of(events(tmp_path / "tb" / "version_0"))
    assert "interrupted" in text
    assert "lights out" in text


def test_a_users_own_progress_bar_shows_the_verdict(fit):
    seen = {}

    class Bar(TQDMProgressBar):
        def on_train_epoch_start(self, trainer, *_):
            seen[trainer.current_epoch] = self.get_metrics(trainer, trainer.lightning_module)["period"]
            super().on_train_epoch_start(trainer, *_)

    fit(Bar(), enable_progress_bar=True)
    assert seen == {0: "critical", 1: "critical", 2: "over", 3: "over", 4: "over"}


def dies():
    raise RuntimeError("lights out")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Nothing of these packages leaves the folder of the test."""
    pytest.importorskip("wandb", reason=f"wandb {INSTALL}")
    import wandb

    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(name, value)
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb-own"))
    yield lambda: WandbLogger(project="tests", save_dir=str(tmp_path), offline=True)
    wandb.finish()


def transactions(path):
    """The records of an offline run: W&B keeps them as LevelDB keeps its log, in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = path.read_bytes(), 7, b""
    while position < len(data):
        if 2**15 - position % 2**15 < 7:
            position += 2**15 - position % 2**15
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def history(path):
    """Key -> the values that were logged."""
    found = {}
    for record in transactions(path):
        row = {}
        for item in record.history.item:
            *outer, last = item.nested_key or [item.key]
            place = row
            for key in outer:
                place = place.setdefault(key, {})
            place[last] = json.loads(item.value_json)
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def test_wandb_has_scalars_page_and_figures(fit, offline, tmp_path):
    logger = offline()
    trainer, callback, recorder = fit(logger=logger)
    logger.experiment.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    logged = history(next(run.glob("*.wandb")))
    for name, values in {**SCALARS, "layer_rotation": list(callback.history.values())}.items():
        assert logged[f"{TAG}/{name}"] == pytest.approx(values)
    (entry,) = logged[f"{TAG}/report"]
    assert entry["_type"] == "html-file"
    assert (run / "files" / entry["path"]).read_text() == page(recorder.record, svgs(recorder.record))
    captions = list(figures(recorder.record))
    assert "Signal and verdict, by epoch" in captions
    for caption in captions:
        ((entry,),) = [value["filenames"] for value in logged[f"{TAG}/{caption}"]]
        assert (run / "files" / entry).read_bytes().startswith(b"\x89PNG")
    assert logged["trainer/global_step"][-1] == trainer.global_step


@pytest.fixture(params=["sqlite", "file"])
def store(request, tmp_path, monkeypatch):
    """A new MLflow logger on a local store of either kind."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies deprecate each other's names
        pytest.importorskip("mlflow", reason=f"mlflow {INSTALL}")
        uri = {"sqlite": f"sqlite:///{tmp_path}/mlflow.db", "file": f"file:{tmp_path}/mlruns"}[request.param]
        yield lambda: MLFlowLogger("tests", tracking_uri=uri, artifact_location=f"file:{tmp_path}/artifacts")


def test_mlflow_has_scalars_page_and_figures(fit, store, tmp_path):
    logger = store()
    _, callback, recorder = fit(logger=logger)
    for name, values in {**SCALARS, "layer_rotation": list(callback.history.values())}.items():
        logged = logger.experiment.get_metric_history(logger.run_id, f"{TAG}/{name}")
        assert [metric.value for metric in sorted(logged, key=lambda m: m.step)] == pytest.approx(values)
    found = {item.path for item in logger.experiment.list_artifacts(logger.run_id, TAG)}
    names = ["report.json", "report.md", "report.html", *(f"{caption}.png" for caption in figures(recorder.record))]
    assert found == {f"{TAG}/{name}" for name in names}
    folder = Path(logger.experiment.download_artifacts(logger.run_id, TAG, str(tmp_path)))
    assert (folder / "report.html").read_text() == page(recorder.record, svgs(recorder.record))
    assert Record.from_json(json.loads((folder / "report.json").read_text())) == recorder.record
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))


def test_a_run_that_dies_leaves_its_report_on_mlflow(fit, store, tmp_path):
    logger = store()
    with pytest.raises(RuntimeError, match="lights out"):
        fit(logger=logger, fail=dies)
    path = logger.experiment.download_artifacts(logger.run_id, f"{TAG}/report.md", str(tmp_path))
    assert "lights out" in Path(path).read_text()
    assert logger.experiment.get_run(logger.run_id).info.status == "FAILED"


def test_a_run_that_dies_leaves_its_report_on_wandb(fit, offline, tmp_path):
    with pytest.raises(RuntimeError, match="lights out"):
        fit(logger=offline(), fail=dies)
    (text,) = (tmp_path / "wandb").glob("offline-run-*/files/media/html/**/*.html")
    assert "lights out" in text.read_text()


def test_two_runs_of_one_save_dir_keep_their_reports_apart(fit, store):
    """Lightning says that the folder of a run on MLflow or W&B is that of all its runs."""
    folders = []
    for _ in range(2):
        logger = store()
        _, _, recorder = fit(logger=logger, max_epochs=END + 1)
        folders.append(recorder.folder)
        assert recorder.folder.parts[-2:] == (logger.experiment_id, logger.run_id)
    assert all((folder / "report.html").is_file() for folder in folders)
    assert folders[0] != folders[1]


def test_the_report_of_a_wandb_run_lies_beside_its_checkpoints(fit, offline, tmp_path):
    logger = offline()
    trainer, _, recorder = fit(logger=logger, enable_checkpointing=True)
    assert recorder.folder == Path(trainer.checkpoint_callback.dirpath).parent
    assert (recorder.folder / "report.html").is_file()


class FullDisk(TensorBoardLogger):
    """Its writer fails when the report comes."""

    @property
    def experiment(self):
        writer = super().experiment

        def fail(*_, **__):
            raise OSError("no space left on device")

        writer.add_text = writer.add_figure = fail
        return writer


def assert_only_warned(fit, tmp_path, failing, name):
    """The failing logger comes first; training ends, the report lies in its folder and on the other logger."""
    with pytest.warns(UserWarning, match=f"did not reach {name} .*it is in the run's folder") as warned:
        trainer, callback, recorder = fit(logger=[failing, TensorBoardLogger(tmp_path, "healthy", version=0)])
    assert len([w for w in warned if "did not reach" in str(w.message)]) == 2  # the page, the figures
    assert trainer.state.finished
    assert callback.end_epoch == END
    assert (recorder.folder / "report.html").is_file()
    return tmp_path / "healthy" / "version_0", recorder


def test_a_logger_that_fails_costs_neither_the_model_nor_the_other_loggers(fit, events, tmp_path):
    healthy, recorder = assert_only_warned(fit, tmp_path, FullDisk(tmp_path, "full", version=0), "FullDisk")
    assert texts_of(events(healthy)) == [markdown(recorder.record)]


def test_a_store_that_takes_no_artifact_is_a_warning(fit, events, store, tmp_path):
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    healthy, recorder = assert_only_warned(fit, tmp_path, store(), "MLFlowLogger")
    assert texts_of(events(healthy)) == [markdown(recorder.record)]


def test_a_wandb_folder_that_takes_no_media_is_a_warning(fit, events, offline, tmp_path):
    logger = offline()
    Path(logger.experiment.dir, "media").write_text("a file where the folder should be")
    healthy, recorder = assert_only_warned(fit, tmp_path, logger, "WandbLogger")
    assert texts_of(events(healthy)) == [markdown(recorder.record)]


def test_a_failing_logger_does_not_hide_the_error_of_the_run(fit, tmp_path):
    failing = FullDisk(tmp_path, "full", version=0)
    with pytest.warns(UserWarning, match="did not reach"), pytest.raises(RuntimeError, match="lights out"):
        fit(logger=failing, fail=dies)
