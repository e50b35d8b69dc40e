"""What a run does in each of its phases: volumes, a cooldown, and other changes. Standard library only."""

from lightning_critperiod.recipe.budget import Budget, limit_in_words
from lightning_critperiod.recipe.change import AS_COSTLY, Change
from lightning_critperiod.recipe.cooldown import Cooldown
from lightning_critperiod.recipe.number import require_int, require_number
from lightning_critperiod.recipe.recipe import Recipe
from lightning_critperiod.recipe.volume import Volume

__all__ = [
    "AS_COSTLY",
    "Budget",
    "Change",
    "Cooldown",
    "Recipe",
    "Volume",
    "limit_in_words",
    "require_int",
    "require_number",
]
