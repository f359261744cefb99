"""The lecture's tables (fixtures/layer_tables) against networks taken apart by hooks."""

import csv
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch
from support.paths import FIXTURES
from torch import nn

from mlcvbench.measure.layers.conventions import COLUMNS, Convention, Row, account, printed
from mlcvbench.measure.layers.networks import Network, open_network
from mlcvbench.measure.layers.tabulate import tabulate

TABLES = FIXTURES / "layer_tables"
PRINTED = ("params_k_printed", "flops_m_printed", "act_mem_mb_printed", "param_mem_mb_printed")


def table(name: str) -> list[dict[str, str]]:
    with (TABLES / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rows_of(network: Network, convention: Convention, batch: int = 128) -> list[Row]:
    return account(tabulate(network.module, network.forward, (3, 224, 224)), convention, batch)


NAMES = ("alexnet", "vgg16", "googlenet")
LOST = {("incep6", "params_k_printed"): "605"}
"""A printed cell with a damaged digit: only this value adds up to the printed total."""


@pytest.fixture(scope="module")
def networks() -> Iterator[dict[str, Network]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_network(name, (3, 224, 224), 1000)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_convention_table_gives_every_cell_of_the_lecture_table(networks: dict[str, Network], name: str) -> None:
    wanted = [[row[column] for column in COLUMNS] for row in table(name)]

    assert [row.cells() for row in rows_of(networks[name], "table")] == wanted


@pytest.mark.parametrize("name", NAMES)
def test_convention_notes_gives_every_printed_cell(networks: dict[str, Network], name: str) -> None:
    rows = printed(rows_of(networks[name], "notes"))
    compared = 0

    for cells, notes in zip(rows, table(name), strict=True):
        for cell, column in zip(cells[-4:], PRINTED, strict=True):
            wanted = LOST.get((cells[0], column), notes[column])
            if wanted:  # an empty cell was lost or never printed
                assert (cells[0], column, cell) == (cells[0], column, wanted)
                compared += 1

    assert compared == {"alexnet": 55, "vgg16": 95, "googlenet": 75}[name]


def test_the_row_that_the_notes_lost_follows_their_own_rules(networks: dict[str, Network]) -> None:
    rows = {cells[0]: cells for cells in printed(rows_of(networks["googlenet"], "notes"))}

    assert rows["incep9"][-4:] == ["1443", "16689.7", "49.0", "16.5"]


def test_the_structure_of_the_notes_is_that_of_the_table(networks: dict[str, Network]) -> None:
    for name in NAMES:
        wanted = [[row[column] for column in COLUMNS[:8]] for row in table(name)]

        assert [cells[:8] for cells in printed(rows_of(networks[name], "notes"))] == wanted


def test_the_total_of_an_alexnet_has_decimals_whatever_its_width() -> None:
    with open_network("alexnet", (3, 224, 224), 10, {"width": "0.25"}) as network:
        *_, total = printed(rows_of(network, "notes"))

    assert [len(cell.partition(".")[2]) for cell in total[-4:]] == [2, 1, 1, 1]


def test_a_block_is_taken_apart_by_convention_standard(networks: dict[str, Network]) -> None:
    rows = [row for row in rows_of(networks["googlenet"], "standard") if row.layer.startswith("incep1.")]

    assert [(row.kernels, row.kernel_hw) for row in rows] == [
        ("64", "1"), ("96", "1"), ("128", "3"), ("16", "1"), ("32", "5"), ("1", "3"), ("32", "1")
    ]  # fmt: skip
    assert sum(row.params for row in rows) == 163_696


def test_torchvisions_inception_modules_are_blocks_too() -> None:
    with open_network("torchvision:googlenet", (3, 64, 64), 1000, {"size": "64"}) as network:
        rows = account(tabulate(network.module, network.forward, (3, 64, 64)), "table", 1)

    blocks = [row for row in rows if row.layer.startswith("incep")]
    assert len(blocks) == 9
    assert (blocks[0].kernels, blocks[0].kernel_hw) == ("64|96>128|16>32|32", "1|1>3|1>3|3>1")  # 3x3 for 5x5: theirs


def test_children_that_read_one_another_are_no_block() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze, self.expand = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 6, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            squeezed = self.squeeze(x)
            return torch.cat([squeezed, self.expand(squeezed)], 1)

    rows = rows_for(nn.Sequential(Joined()), (4, 5, 5), "table")

    assert [row.layer for row in rows] == ["input", "conv1", "conv2", "total"]


def test_convention_standard_counts_two_flops_a_mac_and_nothing_for_pools(networks: dict[str, Network]) -> None:
    rows = rows_of(networks["vgg16"], "standard")

    total = rows[-1]
    assert (total.params, total.macs) == (138_357_544, 15_470_264_320)
    assert total.flops == 2 * 128 * total.macs
    assert {row.flops for row in rows if "Pool" in row.type} == {0}
    assert total.parameter_bytes == 4 * total.params
    assert [row.layer for row in rows[:3]] == ["input", "0.0", "0.2"]


def test_flops_grow_with_the_minibatch_and_parameters_do_not(networks: dict[str, Network]) -> None:
    one, many = rows_of(networks["vgg16"], "table", 1)[-1], rows_of(networks["vgg16"], "table", 10)[-1]

    assert (many.flops, many.activation_bytes) == (10 * one.flops, 10 * one.activation_bytes)
    assert (many.params, many.parameter_bytes) == (one.params, one.parameter_bytes)


def rows_for(module: nn.Module, image: tuple[int, int, int], convention: Convention = "standard") -> list[Row]:
    return account(tabulate(module, lambda: module(torch.zeros(1, *image)), image), convention, 1)


def test_attention_computed_by_a_module_itself_is_its_own_row() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2).transpose(1, 2)  # (B, 16, 8)
            return self.head(self.attention(tokens, tokens, tokens)[0].mean(1))

    rows = {row.layer: row for row in rows_for(Net(), (8, 4, 4))}

    assert rows["attention"].macs == 16 * 8 * 24 + 2 * 16 * 16 * 8 + 16 * 8 * 8
    assert rows["attention"].params == 8 * 24 + 24 + 8 * 8 + 8  # the projection inside is never called as a module
    assert rows["head"].macs == 16
    assert rows["total"].macs == rows["attention"].macs + 16


def test_a_shared_layer_has_a_row_a_call_and_its_parameters_once() -> None:
    shared = nn.Conv2d(2, 2, 3, padding=1)

    rows = rows_for(nn.Sequential(shared, nn.ReLU(), shared), (2, 4, 4))

    assert [row.params for row in rows] == [0, 38, 0, 38]
    assert [row.macs for row in rows] == [0, 576, 576, 1152]


def test_parameters_outside_any_layer_are_in_the_total() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.zeros(2, 4, 4))
            self.conv = nn.Conv2d(2, 3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x + self.position)

    rows = rows_for(Net(), (2, 4, 4))

    assert rows[-1].params == 32 + 57
    assert rows[-1].activations == 3 * 2 * 2


@pytest.mark.parametrize(
    ("pool", "name", "kernel", "elements"),
    [
        (nn.AvgPool2d(2), "pool1", "2", 2 * 6 * 6),
        (nn.AdaptiveAvgPool2d(1), "avgpool", "6", 2 * 6 * 6),
        (nn.AdaptiveAvgPool2d(3), "pool1", "2", 2 * 6 * 6),
        (nn.AdaptiveMaxPool2d(4), "pool1", "", 2 * 8 * 8),
        (nn.MaxPool2d((3, 2), (1, 2)), "pool1", "3x2", 2 * 4 * 3 * 6),
    ],
)
def test_a_pooling_costs_one_operation_a_window_element(pool: nn.Module, name: str, kernel: str, elements: int) -> None:
    row = rows_for(nn.Sequential(pool), (2, 6, 6), "table")[1]

    assert (row.layer, row.kernel_hw, row.flops) == (name, kernel, elements)


def test_an_adaptive_pooling_that_changes_nothing_has_no_row() -> None:
    rows = rows_for(nn.Sequential(nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d(6)), (2, 6, 6), "table")

    assert [row.layer for row in rows] == ["input", "conv1", "total"]


def test_tabulating_leaves_no_hook_behind_and_restores_training_mode() -> None:
    net = nn.Sequential(nn.Conv2d(2, 2, 1)).train()

    rows_for(net, (2, 6, 6))

    assert net.training
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks
