"""Drives a univariate kernel over all columns of a row-major array: sums over the rows, and a map over the rows.

The rows are cut into blocks of 4096 and the columns into tiles of 32; a task is one tile of one block, copied into a small
column-major float64 buffer (so that float32 rows are never widened as a whole and kernels see contiguous values). Tasks run in
waves, the partial records of a wave are merged in block order: the result does not depend on the number of threads, and the
memory in use does not depend on the number of rows.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.string cimport memcpy

from fastkl._core._gather cimport FK_BLOCK, FK_TILE_COLUMNS, FK_TILE_STRIDE, FK_WAVE_NUMBERS, columns_of, real, threads_for

cdef extern from "fk_column_ops.h" nogil:
    ctypedef struct fk_support:
        double low
        double high
        int integral
    Py_ssize_t fk_first_outside(const double *x, Py_ssize_t n, fk_support support)
    void fk_mask_outside(const double *x, Py_ssize_t n, fk_support support, double *out)

# A wave never has fewer blocks than keep a few threads busy.
cdef enum:
    WAVE_BLOCKS = 32

ctypedef enum Task:
    STATISTICS
    SUMS


cdef class ColumnKernel:
    """The kernel of one univariate family; made by the families' table, never by hand."""

    @staticmethod
    cdef ColumnKernel wrap(const fk_column_kernel *table):
        cdef ColumnKernel kernel = ColumnKernel.__new__(ColumnKernel)
        kernel.table = table
        return kernel

    def statistics(self, const real[:, ::1] X, const double[::1] weights, tuple support, int n_threads):
        """Sufficient statistics per column.

        Returns ``(records, row, column)``: records of shape (d, n_statistics), and the first value outside the support
        ``(low, high, integral)``; ``row`` is -1 if there is none, and the records are without meaning otherwise.
        """
        if self.table.statistics == NULL:
            raise TypeError(f"{self.table.name.decode()} has no sufficient statistics.")
        return self._accumulate(STATISTICS, self.table.n_statistics, X, weights, None, support, n_threads)

    def sums(self, const real[:, ::1] X, const double[::1] weights, const double[:, ::1] constants, tuple support,
             int n_threads):
        """Log-likelihood, gradient and further sums per column at given parameters: like ``statistics``, (d, n_sums)."""
        if self.table.sums == NULL:
            raise TypeError(f"{self.table.name.decode()} has no sums at given parameters.")
        return self._accumulate(SUMS, self.table.n_sums, X, weights, constants, support, n_threads)

    def _accumulate(self, Task task, Py_ssize_t length, const real[:, ::1] X, const double[::1] weights,
                    const double[:, ::1] constants, tuple support, int n_threads):
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
        cdef Py_ssize_t n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
        cdef Py_ssize_t n_tiles = (d + FK_TILE_COLUMNS - 1) // FK_TILE_COLUMNS
        cdef Py_ssize_t wave = min(n_blocks, max(WAVE_BLOCKS, FK_WAVE_NUMBERS // max(1, d * length)))
        cdef Py_ssize_t start, blocks, b, bad_row = -1, bad_column = -1, t
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef const double *c = &constants[0, 0] if constants is not None else NULL
        cdef Py_ssize_t n_constants = self.table.n_constants
        cdef fk_support allowed = fk_support(support[0], support[1], support[2])
        cdef const fk_column_kernel *table = self.table
        out = np.zeros((d, length))
        partial_array = np.zeros((wave, d, length))
        outside_array = np.full((wave, n_tiles, 2), -1, dtype=np.intp)
        cdef double[:, ::1] total = out
        cdef double[:, :, ::1] partial = partial_array
        cdef Py_ssize_t[:, :, ::1] outside = outside_array
        n_threads = threads_for(n_blocks * n_tiles, n_threads)
        buffer_array = np.empty((n_threads, FK_TILE_COLUMNS * FK_TILE_STRIDE))
        cdef double[:, ::1] buffer = buffer_array

        for start in range(0, n_blocks, wave):
            blocks = min(wave, n_blocks - start)
            for t in prange(
                blocks * n_tiles, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1
            ):
                tile_sums(
                    task, table, &X[0, 0], w, n, d, start + t // n_tiles, t % n_tiles, c, n_constants, allowed,
                    &buffer[threadid(), 0], length, &partial[t // n_tiles, 0, 0], &outside[t // n_tiles, t % n_tiles, 0],
                )
            for b in range(blocks):
                for t in range(n_tiles):
                    if outside[b, t, 0] >= 0 and (bad_row < 0 or outside[b, t, 0] < bad_row):
                        bad_row, bad_column = outside[b, t, 0], outside[b, t, 1]
            if bad_row >= 0:
                return out, bad_row, bad_column
            with nogil:
                merge_wave(task, table, start == 0, blocks, d, length, &partial[0, 0, 0], &total[0, 0])
        return out, -1, -1

    def merge(self, const double[:, ::1] first, const double[:, ::1] second):
        """Statistics (d, n_statistics) of both sets of rows together."""
        out = np.array(first)
        cdef double[:, ::1] into = out
        cdef Py_ssize_t j
        for j in range(first.shape[0]):
            self.table.merge(&into[j, 0], &second[j, 0])
        return out

    def log_density(self, const real[:, ::1] X, const double[:, ::1] constants, tuple support, int n_threads):
        """Sum over the columns of the log-densities of a row, (n,); -inf where a value lies outside the support.

        ``constants`` is (d, n_constants).
        """
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b
        cdef fk_support allowed = fk_support(support[0], support[1], support[2])
        cdef const fk_column_kernel *table = self.table
        out = np.zeros(n)
        cdef double[::1] view = out
        n_threads = threads_for(n_blocks * ((d + FK_TILE_COLUMNS - 1) // FK_TILE_COLUMNS), n_threads)
        buffer_array = np.empty((n_threads, FK_TILE_COLUMNS * FK_TILE_STRIDE))
        cdef double[:, ::1] buffer = buffer_array
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
            block_log_density(
                table, &X[0, 0], n, d, b, &constants[0, 0], table.n_constants, allowed, &buffer[threadid(), 0], &view[0]
            )
        return out


cdef void tile_sums(
    Task task, const fk_column_kernel *table, const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, Py_ssize_t block,
    Py_ssize_t tile, const double *constants, Py_ssize_t n_constants, fk_support allowed, double *buffer,
    Py_ssize_t length, double *partial, Py_ssize_t *outside,
) noexcept nogil:
    """One task: the records of the tile's columns over the block, and the first value outside the support."""
    cdef Py_ssize_t row = block * FK_BLOCK, rows = min(FK_BLOCK, n - row)
    cdef Py_ssize_t first = tile * FK_TILE_COLUMNS, count = min(FK_TILE_COLUMNS, d - first), j, at
    cdef const double *values = columns_of(x + row * d, rows, d, first, count, buffer)
    cdef const double *block_weights = NULL
    if w != NULL:
        block_weights = w + row
    outside[0] = -1
    for j in range(count):
        at = fk_first_outside(values + j * FK_TILE_STRIDE, rows, allowed)
        if at >= 0:
            if outside[0] < 0 or row + at < outside[0]:
                outside[0] = row + at
                outside[1] = first + j
        elif task == STATISTICS:
            table.statistics(values + j * FK_TILE_STRIDE, block_weights, rows, partial + (first + j) * length)
        else:
            table.sums(
                values + j * FK_TILE_STRIDE, block_weights, rows, constants + (first + j) * n_constants,
                partial + (first + j) * length,
            )


cdef void merge_wave(
    Task task, const fk_column_kernel *table, bint fresh, Py_ssize_t blocks, Py_ssize_t d, Py_ssize_t length,
    const double *partial, double *total,
) noexcept nogil:
    """Add the partial records of a wave to the total, in block order."""
    cdef Py_ssize_t b, j, i
    cdef const double *record
    for b in range(blocks):
        for j in range(d):
            record = partial + (b * d + j) * length
            if fresh and b == 0:
                memcpy(total + j * length, record, length * sizeof(double))
            elif task == STATISTICS:
                table.merge(total + j * length, record)
            else:
                for i in range(length):
                    total[j * length + i] += record[i]


cdef void block_log_density(
    const fk_column_kernel *table, const real *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t block,
    const double *constants, Py_ssize_t n_constants, fk_support allowed, double *buffer, double *out,
) noexcept nogil:
    cdef Py_ssize_t row = block * FK_BLOCK, rows = min(FK_BLOCK, n - row), first, count, j
    cdef const double *values
    first = 0
    while first < d:
        count = min(FK_TILE_COLUMNS, d - first)
        values = columns_of(x + row * d, rows, d, first, count, buffer)
        for j in range(count):
            table.log_density(values + j * FK_TILE_STRIDE, rows, constants + (first + j) * n_constants, out + row)
            fk_mask_outside(values + j * FK_TILE_STRIDE, rows, allowed, out + row)
        first += FK_TILE_COLUMNS
