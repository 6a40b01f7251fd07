"""The values of every column that lie in a bracket of its own, in the order of the rows, and the weight below it and in it.

Tasks are tiles of blocks, as for sums over columns (``_columns``): each moves what is inside to the front of a buffer of its own,
and the buffers of a wave are joined in the order of the blocks. So the result does not depend on the number of threads, and there
are some 16 MB beside what is kept, whatever the number of rows.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.string cimport memcpy

from fastkl._core._gather cimport FK_BLOCK, FK_TILE_COLUMNS, FK_TILE_STRIDE, FK_WAVE_NUMBERS, columns_of, real, threads_for

cdef extern from "fk_inside.h" nogil:
    Py_ssize_t fk_inside(const double *x, const double *w, Py_ssize_t n, double low, double high, double *values,
                         double *weights, double *record)


def values_inside(const real[:, ::1] X, const double[::1] weights, list columns, const double[::1] low,
                  const double[::1] high, int n_threads):
    """For each of the ``columns`` the tuple (weight below, weight inside, values inside, their weights or None).

    ``low`` and ``high`` are the ends of the bracket of each of them, which count as inside, as NaN does.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], k = len(columns)
    cdef Py_ssize_t n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, n_tiles = (d + FK_TILE_COLUMNS - 1) // FK_TILE_COLUMNS
    cdef Py_ssize_t wave = max(1, min(n_blocks, FK_WAVE_NUMBERS // max(1, k * FK_BLOCK))), start, blocks, b, j, t
    cdef Py_ssize_t[::1] place = np.full(d, -1, dtype=np.intp)
    for j in range(k):
        place[columns[j]] = j
    cdef double[:, :, :, ::1] staged = np.empty((1 if weights is None else 2, wave, k, FK_BLOCK))
    cdef Py_ssize_t[:, ::1] counts = np.zeros((wave, k), dtype=np.intp)
    cdef double[:, :, ::1] records = np.zeros((wave, k, 2))
    cdef double[:, ::1] sums = np.zeros((k, 2))
    n_threads = threads_for(wave * n_tiles, n_threads)
    cdef double[:, ::1] buffer = np.empty((n_threads, FK_TILE_COLUMNS * FK_TILE_STRIDE))
    cdef const double *w = &weights[0] if weights is not None else NULL
    kept = [[] for _ in range(k)]
    kept_weights = [[] for _ in range(k)]

    for start in range(0, n_blocks, wave):
        blocks = min(wave, n_blocks - start)
        for t in prange(
            blocks * n_tiles, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1
        ):
            tile_inside(
                &X[0, 0], w, n, d, start + t // n_tiles, t % n_tiles, &place[0], &low[0], &high[0], &buffer[threadid(), 0],
                &staged[0, t // n_tiles, 0, 0], NULL if w == NULL else &staged[1, t // n_tiles, 0, 0],
                &counts[t // n_tiles, 0], &records[t // n_tiles, 0, 0],
            )
        for j in range(k):
            for b in range(blocks):
                sums[j, 0] += records[b, j, 0]
                sums[j, 1] += records[b, j, 1]
            kept[j].append(joined(staged[0], counts, blocks, j))
            if w != NULL:
                kept_weights[j].append(joined(staged[1], counts, blocks, j))
    return [
        (sums[j, 0], sums[j, 1], np.concatenate(kept[j]), None if w == NULL else np.concatenate(kept_weights[j]))
        for j in range(k)
    ]


cdef joined(const double[:, :, ::1] staged, const Py_ssize_t[:, ::1] counts, Py_ssize_t blocks, Py_ssize_t j):
    """What was kept of one column in the blocks of a wave, one after the other."""
    cdef Py_ssize_t b, total = 0
    for b in range(blocks):
        total += counts[b, j]
    out = np.empty(total)
    cdef double[::1] into = out
    total = 0
    for b in range(blocks):
        if counts[b, j]:
            memcpy(&into[total], &staged[b, j, 0], counts[b, j] * sizeof(double))
            total += counts[b, j]
    return out


cdef void tile_inside(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, Py_ssize_t block, Py_ssize_t tile, const Py_ssize_t *place,
    const double *low, const double *high, double *buffer, double *values, double *weights, Py_ssize_t *counts, double *records,
) noexcept nogil:
    """One task: what the brackets of the tile's columns hold of the block; the columns without a place have none."""
    cdef Py_ssize_t row = block * FK_BLOCK, rows = min(FK_BLOCK, n - row)
    cdef Py_ssize_t first = tile * FK_TILE_COLUMNS, count = min(FK_TILE_COLUMNS, d - first), j, at
    cdef const double *columns = columns_of(x + row * d, rows, d, first, count, buffer)
    cdef const double *block_weights = NULL
    if w != NULL:
        block_weights = w + row
    for j in range(count):
        at = place[first + j]
        if at >= 0:
            counts[at] = fk_inside(
                columns + j * FK_TILE_STRIDE, block_weights, rows, low[at], high[at], values + at * FK_BLOCK,
                NULL if weights == NULL else weights + at * FK_BLOCK, records + 2 * at,
            )
