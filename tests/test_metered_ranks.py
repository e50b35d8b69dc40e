"""Processes that launchers start, as on a cluster: what each rank says of its costs, and the one report of them all."""

import json
from pathlib import Path

import pytest
from fresh import launched

from lightning_critperiod.record import load


@pytest.fixture(scope="module", params=[(1, 2), pytest.param((2, 1), marks=pytest.mark.slow)], ids=str)
def metered(request, tmp_path_factory):
    """Nodes, ranks a node, the folder of a training, and what the ranks printed."""
    nodes, ranks = request.param
    folder = tmp_path_factory.mktemp("metered")
    arguments = json.dumps({"devices": ranks, "num_nodes": nodes})
    script = Path(__file__).with_name("metered.py")
    return nodes, ranks, folder, launched(script, folder, arguments, nodes=nodes, ranks=ranks)


def test_energy_is_metered_once_a_node_and_seconds_are_those_of_one_clock(metered):
    """Two ranks of one node share a meter; two nodes have one each, and their readings add up."""
    nodes, ranks, folder, _ = metered
    said = [json.loads((folder / f"costs-{rank}.json").read_text()) for rank in range(nodes * ranks)]
    meters = [rank for rank in said if rank["own_kwh"] is not None]
    assert [rank["node"] for rank in meters] == list(range(nodes))
    for quantity in ("kwh", "co2_kg"):
        total = sum(rank[f"own_{quantity}"] for rank in meters)
        assert total > 0
        assert [rank[quantity] for rank in said] == pytest.approx([total] * len(said), rel=0.01)
    for rank in said:
        assert rank["samples"] == 2 * 34
        assert rank["flops"] == 2 * 34 * 2 * (2 * (4 * 8 + 8 * 2) + 8 * 2)  # two layers, and between them the input's
        assert 0 < rank["seconds"] <= rank["elapsed"]  # added over ranks it would be more than passed
        assert rank["money"] == pytest.approx(2 * rank["kwh"] + 3 * rank["seconds"] / 3600)
    for rank in range(nodes * ranks):  # batches of other sizes on every rank
        assert json.loads((folder / f"uneven-{rank}.json").read_text()) == [8, 8]


def test_under_ddp_one_process_reports_what_all_of_them_drew(metered):
    _, _, folder, printed = metered
    record = load(folder)
    assert (record.status, record.run.processes, record.measured.samples) == ("completed", 2, 2 * 34)
    assert "".join(printed).count("samples drawn") == 1
