"""Training batches that are smaller first and grow to their full size in the course of a run."""

import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_critperiod.changes.growth import FULL_FROM, Growth
from lightning_critperiod.lightning_seam import Overrides, Safely, finished_epochs
from lightning_critperiod.recipe import Change, require_int, require_number
from lightning_critperiod.rules import Rule
from lightning_critperiod.rules.base import require_fit
from lightning_critperiod.timeline import Phase, Timeline


class Growing(Change):
    """Gives ``training_step`` a smaller copy of the batch first; a subclass says what becomes smaller, and how.

    Hooks, other callbacks, validation and test have the whole batches. What the arguments mean, when the size grows and
    what is refused is said by the subclasses.
    """

    argument: str
    """Name of the argument ``sizes``, for messages."""
    things: str
    """What grows."""
    unit: str
    """Of a size."""
    remedy: str
    """What to do where the network takes one size only."""

    def __init__(self, sizes: Sequence[int], rule: Rule | None, at: Sequence[float] | None) -> None:
        self._check_sizes(sizes)
        self._check_growth(sizes, rule, at)
        self.sizes = sizes
        self.growth = Growth(at, rule)
        self._overrides = Overrides()
        self._safely = Safely()
        self._trainer: Any = None
        self._forget()

    @abstractmethod
    def find(self, batch: Any) -> int:
        """Look at the first batch of a fit; refuse, by a ValueError, one in which nothing can be made smaller.

        Returns:
            The full size; 0 if the batch has None where they are.
        """

    @abstractmethod
    def shrunk(self, batch: Any, size: int) -> Any:
        """A copy of a batch at a size; the batch itself if it is no larger."""

    @abstractmethod
    def elements(self, batch: Any) -> int:
        """The number of elements of what grows in a batch: the work of a step is about in proportion to it."""

    def _forget(self) -> None:
        self._full: int | None = None  # size of the batches
        self._seen = False  # a batch, in this fit
        self._proved: set[int] = set()  # sizes that the network takes
        self._gives_up = False
        self._elements, self._of = 0, 0  # in this epoch: those of the batches, and of the same batches at full size
        self.growth.forget()

    @override
    def setup(self, trainer: Any, pl_module: Any) -> None:
        self.undo()
        self._trainer = trainer
        self._forget()

    @override
    def look(self, timeline: Timeline, history: Mapping[int, float]) -> None:
        self._timeline, self._history = timeline, history

    @override
    def start(self, trainer: Any, pl_module: Any) -> None:
        self._check_run(pl_module)
        training_step = pl_module.training_step

        @functools.wraps(training_step)
        def with_small_batches(batch: Any, *arguments: Any) -> Any:
            return self._step(training_step, batch, arguments)

        self._overrides.put(pl_module, "training_step", with_small_batches)

    @override
    def apply(self, phase: Phase) -> None:
        """The size follows from what ``look`` was given, not from the phase alone."""
        self._elements, self._of = 0, 0

    @override
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        size = self.size(max(finished_epochs(trainer) - 1, 0))
        if self._seen and size != self._full:
            rank_zero_warn(
                f"The run ended while its training {self.things} had {size} {self.unit}: it was never trained on the "
                f"{self._full} {self.unit} that they have in full, as in validation. Something ended it before the "
                "planned epochs, such as EarlyStopping or max_time: leave it out, lower max_epochs, or give the recipe "
                "a Cooldown, which has the full size."
            )

    @override
    def undo(self) -> None:
        self._overrides.undo()
        self._trainer = None

    @property
    @override
    def setting(self) -> int | None:
        """The size in the epoch that runs; None while the full size holds and no batch was seen."""
        return None if self._trainer is None else self.size(finished_epochs(self._trainer))

    @property
    @override
    def relative_cost(self) -> float:
        return self._elements / self._of if self._of else 1.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"full": self._full, "proved": sorted(self._proved), "gives_up": self._gives_up}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._full = state["full"]
        self._proved, self._gives_up = set(state.get("proved", ())), state.get("gives_up", False)

    def size(self, epoch: int) -> int | None:
        """The size in a 0-based epoch, the one that runs or one before it."""
        small = [size for size in self.sizes if size != self._full]
        # The phase says nothing here: it is "during" again where a guard took the changes back.
        ends = [self._timeline.cooldown_epoch, self._timeline.full_epoch]
        if self._gives_up or any(end is not None and epoch >= end for end in ends):
            return self._full
        grown = self.growth.happened(epoch, len(small), self._timeline, self._history)
        return small[grown] if grown < len(small) else self._full

    def _step(self, training_step: Callable[..., Any], batch: Any, arguments: tuple[Any, ...]) -> Any:
        if not self._seen:
            self._look_at_first(batch)
        small, size = batch, self.setting
        with self._safely(f"making {self.things} smaller"):
            if size is not None and size != self._full:
                small = self.shrunk(batch, size)
            self._elements += self.elements(small)
            self._of += self.elements(batch)
        if small is batch or size is None or size in self._proved:
            return training_step(small, *arguments)
        try:  # the first step at a size shows whether the network takes it
            output = training_step(small, *arguments)
        except Exception as error:
            output = training_step(batch, *arguments)  # raises the user's own error if the size is not the cause
            self._cannot_take(size, error)
            return output
        self._proved.add(size)
        return output

    def _cannot_take(self, size: int, error: Exception) -> None:
        problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if not self._proved:
            raise ValueError(
                f"{type(self).__name__} needs a network that takes {self.things} of several sizes, but training_step "
                f"fails at {size} {self.unit} and not at {self._full} {self.unit} ({problem}): {self.remedy}, or give "
                f"other {self.argument}."
            ) from error
        rank_zero_warn(
            f"training_step fails at {size} {self.unit} and not at {self._full} {self.unit} ({problem}): from here on "
            f"the {self.things} have their full size."
        )
        self._gives_up = True

    def _look_at_first(self, batch: Any) -> None:
        found = self.find(batch)
        if found == 0 and self._full is None:
            raise ValueError(f"{type(self).__name__} needs {self.things} in the first batch, got None where they are.")
        if found == 0:  # resumed in mid-epoch, where a loader of several was at its end: the next batch tells
            return
        # A resumed run goes on by the size that it began with, and ranks agree, though batches may differ in theirs.
        self._full = self._largest_of_ranks(found) if self._full is None else self._full
        self._check_full(self._full)
        self.growth.forget()  # how many growths there are is known only now
        self._seen = True

    def _largest_of_ranks(self, size: int) -> int:
        strategy = self._trainer.strategy
        return int(strategy.reduce(torch.tensor(size, device=strategy.root_device), reduce_op="max"))

    def _check_full(self, full: int) -> None:
        stated, of = f"{self.argument}={list(self.sizes)}", f"the {full} {self.unit} of the {self.things}"
        if self.sizes[-1] > full:
            raise ValueError(f"{stated} must be no larger than {of} in the first batch: give smaller ones.")
        growths = len([size for size in self.sizes if size < full])
        if growths == 0:
            raise ValueError(f"{stated} must have one below {of}: add it.")
        at = self.growth.at
        if at is not None and len(at) != growths:
            raise ValueError(
                f"at={list(at)} must have a fraction for each of the {growths} growths from {list(self.sizes)} to {of}."
            )

    def _check_run(self, pl_module: Any) -> None:
        name = type(self).__name__
        if "dataloader_iter" in inspect.signature(pl_module.training_step).parameters:
            raise ValueError(f"{name} needs a training_step that takes a batch, got one with dataloader_iter.")
        epochs = self._timeline.max_epochs
        if self.growth.rule is not None:
            require_fit(self.growth.rule, epochs)
        elif epochs is None:
            raise ValueError(
                f"{name}({self.argument}={list(self.sizes)}) has nothing that makes the {self.things} grow in a run "
                "without a last epoch: give rule=, or Trainer(max_epochs=...)."
            )

    def _check_sizes(self, sizes: Any) -> None:
        if isinstance(sizes, str) or not isinstance(sizes, Sequence) or not sizes:
            raise TypeError(f"{self.argument} must be a list of whole numbers such as [16, 24, 32], got {sizes!r}")
        for size in sizes:
            require_int(self.argument, size, low=1)
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"{self.argument} must be ascending, got {list(sizes)}")

    def _check_growth(self, sizes: Sequence[int], rule: Any, at: Any) -> None:
        if not isinstance(rule, Rule | None):
            raise TypeError(f"rule must be a Rule, got {rule!r}")
        if at is None:
            return
        if rule is not None:
            raise ValueError(f"{type(self).__name__} grows by a rule or at fractions: give rule= or at=, not both")
        if isinstance(at, str) or not isinstance(at, Sequence):
            raise TypeError(f"at must be a list of fractions such as [0.5, 0.75], got {at!r}")
        for fraction in at:
            require_number("at", fraction, low=0, high=FULL_FROM, closed=True)
        if list(at) != sorted(at) or len(at) not in {len(sizes), len(sizes) - 1}:
            raise ValueError(
                f"at must have ascending fractions, one for each of the {self.argument} after the first, got {list(at)}"
            )
