"""The rows that every source of these tests holds, and what one pass over a source gives."""

import numpy as np
import pandas as pd

N = 1000
X = np.random.default_rng(0).normal(size=(N, 3))
W = np.random.default_rng(1).uniform(0.0, 2.0, N)
NAMES = ["a", "b", "c"]


def table():
    return pd.DataFrame(X, columns=NAMES)


class Refilled:
    """Batches that are all in one array, filled again for each; also their weights, where there are some."""

    def __init__(self, X, weights=None, batch_rows=77):
        self.X, self.weights, self.batch_rows = X, weights, batch_rows
        self.buffer, self.of_weights = np.empty((batch_rows, X.shape[1])), np.empty(batch_rows)

    def __iter__(self):
        for first in range(0, len(self.X), self.batch_rows):
            n = len(self.X[first : first + self.batch_rows])
            self.buffer[:n] = self.X[first : first + n]
            if self.weights is None:
                yield self.buffer[:n]
            else:
                self.of_weights[:n] = self.weights[first : first + n]
                yield self.buffer[:n], self.of_weights[:n]


def contents(source):
    """All rows and weights of one pass, and whether the blocks are numbered as they should be."""
    values, weights, row = [], [], 0
    for block in source.blocks():
        assert block.first_row == row
        assert block.X.flags.c_contiguous
        row += len(block.X)
        values.append(block.X.copy())
        weights.append(None if block.weights is None else block.weights.copy())
    return np.concatenate(values), None if weights[0] is None else np.concatenate(weights)
