"""Rows in memory: what is cut from them keeps its places, rows of weight 0 leave, and a pass merges blocks in their order."""

import numpy as np
import pytest

from fastkl._core import rows as core_rows
from fastkl._core._threads import BLOCK_ROWS, build_info
from fastkl._core.rows import Rows


def test_the_block_of_the_kernels():
    assert BLOCK_ROWS == build_info()["block_rows"] == 4096


def test_a_part_knows_where_it_was():
    rows = Rows(np.arange(20.0).reshape(10, 2), np.arange(10.0), names=["x", "y"], first_row=100, batch=3)
    part = rows.part(4, 7)
    assert np.shares_memory(part.X, rows.X)
    assert part.place(1, 1) == "row 105 (batch 3), column 1 ('y')"
    assert part.weights.tolist() == [4.0, 5.0, 6.0]
    some = Rows(rows.X, None, index=np.arange(0, 30, 3)).part(4, 7)
    assert some.row(1) == "row 15"


def test_present_rows_keep_their_numbers():
    rows = Rows(np.arange(5.0)[:, None], np.array([0.0, 2.0, 0.0, 1.0, 3.0]), first_row=10)
    assert rows.of_positive_weight().X.ravel().tolist() == [1.0, 3.0, 4.0]
    assert rows.of_positive_weight().weights.tolist() == [2.0, 1.0, 3.0]
    assert rows.of_positive_weight().row(1) == "row 13"
    numbered = Rows(rows.X, rows.weights, index=np.array([1, 4, 5, 8, 9]))
    assert numbered.of_positive_weight().row(2) == "row 9"
    plain = Rows(rows.X)
    assert plain.of_positive_weight() is plain
    assert len(Rows(rows.X, np.zeros(5)).of_positive_weight().X) == 0


@pytest.mark.parametrize("columns", [1, 3])
def test_a_pass_over_blocks(columns, monkeypatch):
    monkeypatch.setattr(core_rows, "LEAST_ROWS", BLOCK_ROWS)
    monkeypatch.setattr(core_rows, "BLOCK_BYTES", 2 * BLOCK_ROWS * 8 * columns)
    rows = Rows(np.zeros((5 * BLOCK_ROWS + 1, columns)))

    def places(block, step):
        return [(block.first_row, len(block.X), step)]

    assert rows.total(places, 7) == [
        (0, 2 * BLOCK_ROWS, 7),
        (2 * BLOCK_ROWS, 2 * BLOCK_ROWS, 7),
        (4 * BLOCK_ROWS, BLOCK_ROWS + 1, 7),
    ]
    assert [length for _, length, _ in rows.total(places, 7, block_rows=10)] == [BLOCK_ROWS] * 5 + [1]
    assert rows.total(places, 7, merge=lambda first, second: second, block_rows=BLOCK_ROWS) == [(5 * BLOCK_ROWS, 1, 7)]
    assert Rows(np.zeros((0, columns))).total(places, 7) == [(0, 0, 7)]
    small = Rows(rows.X[:BLOCK_ROWS])
    assert small.total(lambda block: block) is small
