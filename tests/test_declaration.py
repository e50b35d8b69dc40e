import pytest

from lightning_critperiod.changes import DeclaredVolume
from lightning_critperiod.recipe import Volume


class Plain:
    def __init__(self, multiplier=3, ratio=0.1):
        self.augmentation_multiplier = multiplier
        self.pruning_ratio = ratio


class ByClass:
    augmentation_multiplier = 2
    pruning_ratio = 0.0


class ByProperty:
    pruning_ratio = 0.0

    def __init__(self):
        self.stored = 2

    @property
    def augmentation_multiplier(self):
        return self.stored

    @augmentation_multiplier.setter
    def augmentation_multiplier(self, value):
        self.stored = value


KINDS = [Plain, ByClass, ByProperty]


def test_one_attribute_alone_declares_nothing():
    plain = Plain()
    del plain.pruning_ratio
    assert not DeclaredVolume.is_declared(plain)
    assert not DeclaredVolume.is_declared(None)
    assert DeclaredVolume.is_declared(Plain())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_and_restored_without_a_trace(kind):
    datamodule = kind()
    before, values = dict(vars(datamodule)), (datamodule.augmentation_multiplier, datamodule.pruning_ratio)
    declared = DeclaredVolume(datamodule)
    declared.write(Volume(1.5, 0.25))
    assert (datamodule.augmentation_multiplier, datamodule.pruning_ratio) == (1.5, 0.25)
    declared.restore()
    assert (datamodule.augmentation_multiplier, datamodule.pruning_ratio) == values
    assert vars(datamodule) == before


@pytest.mark.parametrize("kind", KINDS)
def test_inside_neutral_the_attributes_read_1_and_0_and_afterwards_what_was_written(kind):
    datamodule = kind()
    declared = DeclaredVolume(datamodule)
    declared.write(Volume(1.5, 0.25))
    with declared.neutral():
        assert (datamodule.augmentation_multiplier, datamodule.pruning_ratio) == (1, 0)
    assert (datamodule.augmentation_multiplier, datamodule.pruning_ratio) == (1.5, 0.25)


def test_a_read_only_attribute_is_refused_by_name():
    class ReadOnly(ByClass):
        @property
        def augmentation_multiplier(self):
            return 2

    with pytest.raises(ValueError, match=r"ReadOnly.augmentation_multiplier must be an attribute that can be set"):
        DeclaredVolume(ReadOnly()).write(Volume())
