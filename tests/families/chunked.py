"""Rows that are passed over block by block, as a stream or other processes would: all that goes in or out is pickled."""

import itertools
import operator
import pickle
from dataclasses import replace

import numpy as np

from fastkl._core.rows import Rows

LENGTHS = (1, 1, 7, 300, 1, 64)  # the first blocks; the last one holds the rest


def through_pickle(value):
    return pickle.loads(pickle.dumps(value))


class ChunkedRows:
    """Blocks of uneven lengths of rows in memory, whose passes are counted.

    ``most_sampled`` makes a sample smaller than asked for, so that few rows are treated as many are.
    """

    def __init__(self, rows, lengths=LENGTHS, most_sampled=None):
        self.whole, self.n_threads, self.names, self.n_columns = rows, rows.n_threads, rows.names, rows.n_columns
        edges = np.cumsum([0, *lengths])
        edges = [*edges[edges < len(rows.X)], len(rows.X)]
        self.blocks = [self.block(number, *ends) for number, ends in enumerate(itertools.pairwise(edges))]
        self.most_sampled, self.passes, self.samples = most_sampled, 0, {}

    def block(self, number, start, stop):
        rows = self.whole
        weights = None if rows.weights is None else rows.weights[start:stop]
        index, first = (None, start) if rows.index is None else (rows.index[start:stop], 0)
        return replace(rows, X=rows.X[start:stop], weights=weights, index=index, first_row=first, batch=number)

    @property
    def total_weight(self):
        return float(sum(block.total_weight for block in self.blocks))

    def column(self, column):
        return self.whole.column(column)

    def total(self, function, *args, merge=operator.add, block_rows=None):
        self.passes += 1
        function, args, merge = through_pickle((function, args, merge))
        result = through_pickle(function(self.blocks[0], *args))
        for block in self.blocks[1:]:
            result = merge(result, through_pickle(function(block, *args)))
        return result

    def sample(self, size):
        size = min(size, self.most_sampled or size)
        if size not in self.samples:
            step = 2 ** int(np.log2(max(len(self.whole.X) / size, 1.0)))  # a stream does not know its length beforehand
            rows = self.whole
            weights = None if rows.weights is None else rows.weights[::step].copy()
            self.samples[size] = Rows(
                rows.X[::step].copy(), weights, names=rows.names, index=np.arange(0, len(rows.X), step)
            )
        return self.samples[size]
