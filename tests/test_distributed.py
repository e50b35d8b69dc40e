"""Several processes on gloo: each rank says what it did, and the test compares what they say."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from fresh import Python, launched
from ranks import train

pytestmark = [
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
    pytest.mark.filterwarnings("ignore:It is recommended to use `self.log.*sync_dist=True"),
]

TESTS = Path(__file__).parent
ODD = {"n": 33, "multiplier": 2}  # 17 a rank, one sample twice
EVEN = {"n": 34, "multiplier": 2}
DRAWN = {0: 34, 1: 34, 2: 8, 3: 8, 4: 8, 5: 34}  # round(2 x 17) and, after the period, round(0.5 x 17)


def script(folder, **settings):
    """The same training in a Python of its own, for launchers that start the script again."""
    return [TESTS / "ranks.py", folder, json.dumps(settings)]


def records(folder, ranks=2):
    return [json.loads(Path(folder, f"rank-{rank}.json").read_text()) for rank in range(ranks)]


def run(folder, ranks=2, **settings):
    folder.mkdir(exist_ok=True)
    train(folder, **settings)
    return records(folder, ranks)


def numbers(record):
    """Epoch -> the samples that a rank trained on, in order."""
    drawn = {}
    for epoch, _, samples, _ in record["steps"]:
        drawn.setdefault(epoch, []).extend(samples[""])
    return drawn


def counts(record):
    return {epoch: len(samples) for epoch, samples in numbers(record).items()}


def assert_ranks_agree(ranks):
    """Same batches, LR, decision and weights everywhere; only the samples and the local metrics differ."""
    first = ranks[0]
    for record in ranks[1:]:
        lengths = [[(epoch, batch, len(ids[""]), lr) for epoch, batch, ids, lr in r["steps"]] for r in (first, record)]
        assert lengths[0] == lengths[1]
        for what in ("weights", "global_step", "validations", "planned", "history", "end_epoch", "volumes"):
            assert record[what] == first[what]


def assert_disjoint(ranks, epochs):
    for epoch in epochs:
        drawn = Counter(i for record in ranks for i in set(numbers(record)[epoch]))
        assert set(drawn.values()) == {1}


def test_one_decision_although_the_metrics_differ(tmp_path):
    """Alone, the other rank would never have switched: its metric falls on."""
    ranks = run(tmp_path, rule="metric", options=EVEN)
    assert_ranks_agree(ranks)
    assert ranks[1]["history"] == [[epoch, 1.0] for epoch in range(6)]
    assert ranks[1]["end_epoch"] == 2
    assert [counts(record) for record in ranks] == [DRAWN, DRAWN]


def test_ranks_draw_equally_many_and_disjoint_samples_at_every_volume(tmp_path):
    ranks = run(tmp_path, options=EVEN)
    assert_ranks_agree(ranks)
    assert_disjoint(ranks, range(6))
    assert [counts(record) for record in ranks] == [DRAWN, DRAWN]
    everything = [i for record in ranks for i in numbers(record)[0]]
    assert Counter(everything) == dict.fromkeys(range(34), 2)
    assert ranks[0]["validations"] == list(range(6))


def test_a_shard_that_is_no_whole_number(tmp_path):
    """33 samples on 2 ranks: Lightning shows one of them to both, so each rank has 17."""
    ranks = run(tmp_path, options=ODD)
    assert_ranks_agree(ranks)
    assert [counts(record) for record in ranks] == [DRAWN, DRAWN]
    assert set(numbers(ranks[0])[0]) | set(numbers(ranks[1])[0]) == set(range(33))


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forked")
    return folder, run(folder, options=ODD, saves=True)


def test_subprocess_launch_is_the_same_run(tmp_path, forked):
    status, *said = Python(*script(tmp_path, options=ODD, strategy="ddp")).finish()
    assert status == 0, said
    assert records(tmp_path) == forked[1]


@pytest.mark.slow
def test_spawned_processes_are_the_same_run(tmp_path, forked):
    status, *said = Python(*script(tmp_path, options=ODD, strategy="ddp_spawn")).finish()
    assert status == 0, said
    assert records(tmp_path) == forked[1]


@pytest.mark.slow
def test_two_nodes_of_one_process_are_the_same_run(tmp_path, forked):
    """As torchrun starts them, one process a node."""
    launched(*script(tmp_path, options=ODD, strategy="ddp", devices=1, num_nodes=2), nodes=2, ranks=1)
    assert records(tmp_path) == forked[1]


@pytest.mark.slow
def test_four_ranks(tmp_path):
    ranks = run(tmp_path, ranks=4, rule="metric", options={"n": 68, "multiplier": 2}, devices=4)
    assert_ranks_agree(ranks)
    assert_disjoint(ranks, range(6))
    assert [counts(record) for record in ranks] == [DRAWN] * 4


@pytest.mark.parametrize(
    "name", ["epoch-1", "val-1-8", "batch-0-3", "batch-1-8", "batch-2-0", "batch-4-1", "batch-5-5"]
)
def test_resume(tmp_path, forked, name):
    folder, whole = forked
    ranks = run(tmp_path, options=ODD, ckpt=str(folder / f"{name}.ckpt"), seed=99)
    hook, epoch, *batch = name.split("-")
    last = (int(epoch), int(batch[0]) if hook != "epoch" else 10**9)
    for resumed, record in zip(ranks, whole, strict=True):
        assert resumed["steps"] == [step for step in record["steps"] if (step[0], step[1]) > last]
        for what in ("weights", "global_step", "history", "end_epoch", "volumes", "planned"):
            assert resumed[what] == record[what]


def test_resume_with_workers(tmp_path, forked):
    folder, whole = forked
    options = {**ODD, "num_workers": 1, "persistent_workers": True}
    ranks = run(tmp_path, options=options, ckpt=str(folder / "batch-1-5.ckpt"), seed=99)
    assert [record["weights"] for record in ranks] == [record["weights"] for record in whole]


def test_a_loader_that_is_not_sharded_is_not_sharded_by_us(tmp_path):
    """use_distributed_sampler=False with an ordinary loader: every rank sees everything, as the user asked for."""
    ranks = run(tmp_path, options={"n": 17, "multiplier": 2}, use_distributed_sampler=False)
    assert_ranks_agree(ranks)
    assert [counts(record) for record in ranks] == [DRAWN, DRAWN]
    assert numbers(ranks[0]) == numbers(ranks[1])


def test_a_weighted_sampler_is_sharded_and_keeps_its_weights(tmp_path):
    ranks = run(tmp_path, data="weighted", options={"n": 400, "multiplier": 2}, max_epochs=4)
    assert_ranks_agree(ranks)
    assert counts(ranks[0]) == {0: 400, 1: 400, 2: 100, 3: 400}
    heavy = [i >= 200 for record in ranks for samples in numbers(record).values() for i in samples]
    assert abs(sum(heavy) / len(heavy) - 0.75) < 0.05


@pytest.mark.parametrize("multiplier", [3, 1.5])
def test_our_datamodule_draws_its_declared_volume_with_and_without_us(tmp_path, multiplier):
    """1149 images on 2 ranks: 575 a rank."""
    options = {"batch_size": 64, "augmentation_multiplier": multiplier}
    without = run(tmp_path / "without", rule=None, data="digits", options=options, max_epochs=2)
    ours = run(tmp_path / "ours", rule="never", data="digits", options=options, max_epochs=2)
    for ranks in (without, ours):
        assert [counts(record) for record in ranks] == [dict.fromkeys(range(2), round(multiplier * 575))] * 2
    for what in ("global_step", "planned", "validations"):
        assert [record[what] for record in without] == [record[what] for record in ours]


@pytest.mark.parametrize("how", ["raises", pytest.param("killed", marks=pytest.mark.slow)])
def test_a_rank_that_dies_ends_the_run_with_an_error(tmp_path, how):
    status, *said = Python(*script(tmp_path, options=ODD, strategy="ddp", dies=how)).finish()
    assert status != 0, said
    assert not list(tmp_path.glob("rank-*.json"))


SHARDED = """
import json, sys, torch
from pathlib import Path
from conftest import Declares, make_trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from ranks import RULES
from test_resume import Recording, SavesEverywhere, one_cycle
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

class Sharded(Recording):
    def configure_model(self):
        for part in (self.net[0], self.net[2], self.net, self):
            fully_shard(part, mesh=self.device_mesh["data_parallel"])
    def forward(self, x):
        return self.net(x)
    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self(batch[1]), batch[2])

class Whole(Callback):
    def __init__(self): self.weights = []
    def on_train_start(self, trainer, module):
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        whole = get_model_state_dict(module, options=options)
        mine = whole.items() if trainer.global_rank == 0 else ()
        self.weights.append({name: w.double().tolist() for name, w in mine})
    on_train_epoch_end = on_train_start

def run(folder, ckpt=None):
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model, ours, whole = Sharded(scheduler=one_cycle), RULES["at 2"](), Whole()
    torch.manual_seed(1 if ckpt is None else 99)
    strategy = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=False)
    saves = [] if ckpt else [SavesEverywhere(folder)]
    trainer = make_trainer(folder, [ours, whole, *saves], strategy=strategy, devices=2, enable_checkpointing=not ckpt)
    trainer.fit(model, Declares(n=33, multiplier=2), ckpt_path=ckpt, weights_only=True if ckpt else None)
    return {"steps": model.steps, "history": sorted(ours.history.items()), "end_epoch": ours.end_epoch,
            "weights": whole.weights, "rank": trainer.global_rank, "planned": model.planned_steps}

folder = Path(sys.argv[1])
result = {"whole": run(folder / "whole")}
for name in sys.argv[2:]:
    result[name] = run(folder / name, ckpt=str(folder / "whole" / f"{name}.ckpt"))
(folder / f"rank-{result['whole']['rank']}.json").write_text(json.dumps(result))
"""


def test_sharded_training_is_driven_and_resumes(tmp_path):
    """FSDP2: the state of callbacks arrives late, and each rank holds a part of every layer."""
    file, names = tmp_path / "sharded.py", ["epoch-1", "batch-1-4", "batch-4-1", "val-2-1"]
    file.write_text(SHARDED)
    launched(file, tmp_path, *names)
    results = records(tmp_path)
    start, *ends = results[0]["whole"]["weights"]
    for record in results:
        assert counts(record["whole"]) == DRAWN
        truth = {epoch: rotation(start, end) for epoch, end in enumerate(ends)}
        assert dict(record["whole"]["history"]) == pytest.approx(truth, rel=1e-5)
        for name in names:
            last = {"epoch": 10**9}.get(name.split("-")[0], int(name.split("-")[-1])), int(name.split("-")[1])
            steps = [step for step in record["whole"]["steps"] if (step[0], step[1]) > last[::-1]]
            assert record[name]["steps"] == steps
            assert record[name]["weights"][-1] == record["whole"]["weights"][-1]
            for what in ("history", "end_epoch", "planned"):
                assert record[name][what] == record["whole"][what]


def rotation(initial, current):
    """Mean cosine distance of the two kernels, in float64."""
    pairs = [(torch.tensor(initial[name]).flatten(), torch.tensor(current[name]).flatten()) for name in initial]
    layers = [1 - a @ b / a.norm() / b.norm() for a, b in pairs if len(a) > 8 or len(a) == 16]
    return float(sum(layers) / len(layers))
