import pytest
from jsonargparse import ActionConfigFile, ArgumentParser

from lightning_critperiod.studies.sources import read_sources


class Part:
    def __init__(self, max_epochs: int | None = None, devices: int = 1):
        pass


def parsed(files):
    """The layers as a LightningCLI merges them: by jsonargparse."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action=ActionConfigFile)
    parser.add_argument("--margin", type=float | None)
    parser.add_class_arguments(Part, "trainer")
    return parser.parse_args([word for file in files for word in ("--config", str(file))])


def written(folder, layers):
    files = [folder / f"{number}.yaml" for number in range(len(layers))]
    for file, text in zip(files, layers, strict=True):
        file.write_text(text)
    return files


@pytest.mark.parametrize(
    "layers",
    [
        ["margin: 0.5\ntrainer: {max_epochs: 3}", "trainer: {devices: 2}"],
        ["margin: 0.5\ntrainer: {max_epochs: 3}", "margin: 1.5\ntrainer: {max_epochs: 7}"],
        ["margin: 0.5\ntrainer: {max_epochs: 3}", "margin: null\ntrainer: {max_epochs: null}"],
        ["trainer: {max_epochs: 3}", "trainer.max_epochs: 5"],
        ["trainer: {devices: 2}", "{}"],
    ],
)
def test_what_the_files_state_is_what_a_parser_makes_of_them(tmp_path, layers):
    files = written(tmp_path, layers)
    sources, truth = read_sources(files), parsed(files)
    assert sources.name == "1"
    assert sources.stated("margin") == truth.margin
    assert sources.stated("trainer.max_epochs") == truth.trainer.max_epochs


def test_nothing_is_said_of_a_key_that_another_file_may_have(tmp_path):
    (tmp_path / "other.yaml").write_text("max_epochs: 9")
    files = written(tmp_path, ["trainer: {max_epochs: 3}", f"trainer: {tmp_path / 'other.yaml'}"])
    assert parsed(files).trainer.max_epochs == 9
    assert read_sources(files).stated("trainer.max_epochs") is None
