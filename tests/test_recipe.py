import math
from fractions import Fraction

import pytest

from lightning_critperiod.recipe import Recipe, Volume

FULL, CHEAP = Volume(3), Volume(1, 0.5)


@pytest.mark.parametrize(("k", "r", "n"), [(3, 0, 33), (1, 0.5, 33), (0.5, 0, 33), (2.5, 0.3, 101), (1, 0.3, 5)])
def test_a_volume_draws_round_k_times_one_minus_r_times_n(k, r, n):
    assert Volume(k, r).samples(n) == round(k * (1 - r) * n)


def test_the_phases_of_a_run():
    recipe = Recipe(during=FULL, after=CHEAP, annealing_fraction=0.25)
    assert [recipe.volume(e, 4, 12) for e in range(12)] == [FULL] * 4 + [CHEAP] * 6 + [FULL] * 2


def test_as_long_as_the_period_is_not_over_the_recipe_is_full():
    assert {Recipe(during=FULL, after=CHEAP).volume(e, None, 9) for e in range(9)} == {FULL}


def test_an_unset_during_is_the_users_own_loader():
    assert Recipe().volume(0, None, 9) == Volume()


def test_annealing_starts_where_the_exact_fraction_says():
    """In exact arithmetic; 0.3 as a float is a little less than 3/10 and would add an epoch at (E - c) = 10."""
    for tenths in range(11):
        recipe = Recipe(during=FULL, after=CHEAP, annealing_fraction=tenths / 10)
        for end, epochs in [(0, 10), (3, 13), (5, 30), (7, 200), (0, 1)]:
            start = end + math.ceil((epochs - end) * (1 - Fraction(tenths, 10)))
            assert [recipe.volume(e, end, epochs) for e in range(end, epochs)] == [
                FULL if e >= start else CHEAP for e in range(end, epochs)
            ]


def test_the_papers_annealing_ratio_is_one_minus_ours():
    """Ratio 0.875 at switch 25 of 200: the full recipe is back from epoch 25 + ceil(175 x 0.875) = 179."""
    recipe = Recipe(during=FULL, after=CHEAP, annealing_fraction=0.125)
    assert next(e for e in range(26, 200) if recipe.volume(e, 25, 200) == FULL) == 179


@pytest.mark.parametrize("value", [-1, 0, math.nan, math.inf, -math.inf])
def test_a_multiplier_is_finite_and_above_zero(value):
    with pytest.raises(ValueError, match=f"augmentation_multiplier must be a number above 0, got {value}"):
        Volume(augmentation_multiplier=value)


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, math.nan, math.inf])
def test_a_pruning_ratio_is_from_zero_to_below_one(value):
    with pytest.raises(ValueError, match=f"pruning_ratio must be a number from 0 and below 1, got {value}"):
        Volume(pruning_ratio=value)


@pytest.mark.parametrize("value", [-0.1, 1.01, math.nan])
def test_an_annealing_fraction_is_from_zero_to_one(value):
    with pytest.raises(ValueError, match=rf"annealing_fraction must be a number from 0 to 1, got {value}"):
        Recipe(annealing_fraction=value)


@pytest.mark.parametrize("value", [True, "3", None])
def test_a_bool_a_string_and_none_are_no_numbers(value):
    for make in (
        lambda: Volume(augmentation_multiplier=value),
        lambda: Volume(pruning_ratio=value),
        lambda: Recipe(annealing_fraction=value),
    ):
        with pytest.raises(TypeError, match=f"must be a number .*got {value!r}"):
            make()


def test_phases_that_are_no_volumes_are_refused():
    with pytest.raises(TypeError, match="during must be a Volume or None, got 3"):
        Recipe(during=3)
    with pytest.raises(TypeError, match="after must be a Volume, got None"):
        Recipe(after=None)
