"""Drives a univariate kernel over all columns of a row-major array: sums over the rows, and a map over the rows.

The rows are cut into blocks of 4096 and the columns into tiles of 32; a task is one tile of one block, copied into a small
column-major float64 buffer (so that float32 rows are never widened as a whole and kernels see contiguous values). Tasks run in
waves, the partial records of a wave are merged in block order: the result does not depend on the number of threads, and the
memory in use does not depend on the number of rows.

Several components, each with weights or parameters of its own, are served by one pass: a task takes its tile once for all of
them, and each gets the bits that a pass of its own would give. Rows of weight 0 are left out before a kernel sees them.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset

from fastkl._core._gather cimport FK_BLOCK, FK_TILE_COLUMNS, FK_TILE_STRIDE, FK_WAVE_NUMBERS, columns_of, real, threads_for
from fastkl._core._waves cimport first_wave, next_wave, perf_counter

cdef extern from "fk_column_ops.h" nogil:
    ctypedef struct fk_support:
        double low
        double high
        int integral
    Py_ssize_t fk_first_outside(const double *x, Py_ssize_t n, fk_support support)
    void fk_mask_outside(const double *x, Py_ssize_t n, fk_support support, double *out)

cdef extern from "fk_present.h" nogil:
    Py_ssize_t fk_count_present(const double *w, Py_ssize_t n)
    Py_ssize_t fk_keep_present(const double *x, const double *w, Py_ssize_t n, double *out)
    Py_ssize_t fk_place_of_present(const double *w, Py_ssize_t at)

# A wave never has fewer blocks than keep a few threads busy.
cdef enum:
    WAVE_BLOCKS = 32
    WAVE_BLOCKS_OF_SEVERAL = 4
    BUFFER = (FK_TILE_COLUMNS + 2) * FK_TILE_STRIDE  # a tile, one column without its rows of weight 0, and their weights

ctypedef enum Task:
    STATISTICS
    SUMS

cdef struct Job:
    # What every task of a call has in common; weights (k, n), (n,) or NULL, constants (k, d, n_constants) or NULL.
    Task task
    const fk_column_kernel *table
    const double *weights
    Py_ssize_t stride  # from a component's weights to the next one's; 0 where all have the same
    const double *constants
    fk_support support
    Py_ssize_t n
    Py_ssize_t d
    Py_ssize_t components
    Py_ssize_t length  # of a record


cdef class ColumnKernel:
    """The kernel of one univariate family; made by the families' table, never by hand."""

    @staticmethod
    cdef ColumnKernel wrap(const fk_column_kernel *table):
        cdef ColumnKernel kernel = ColumnKernel.__new__(ColumnKernel)
        kernel.table = table
        return kernel

    def statistics(self, X, weights, tuple support, int n_threads):
        """Sufficient statistics per column, given weights (n,) or None.

        Returns ``(records, row, column)``: records of shape (d, n_statistics), and the first value outside the support
        ``(low, high, integral)`` in a row whose weight is not 0; ``row`` is -1 if there is none, and the records are without
        meaning otherwise.
        """
        records, row, column = self.component_statistics(X, None if weights is None else weights[None], support, n_threads)
        return records[0], row, column

    def component_statistics(self, const real[:, ::1] X, const double[:, ::1] weights, tuple support, int n_threads):
        """The same for several components: weights (k, n) give records (k, d, n_statistics)."""
        if self.table.statistics == NULL:
            raise TypeError(f"{self.table.name.decode()} has no sufficient statistics.")
        return self._accumulate(STATISTICS, self.table.n_statistics, X, weights, None, support, n_threads)

    def sums(self, X, weights, constants, tuple support, int n_threads):
        """Log-likelihood, gradient and further sums per column at given parameters: like ``statistics``, (d, n_sums)."""
        sums, row, column = self.component_sums(
            X, None if weights is None else weights[None], constants[None], support, n_threads
        )
        return sums[0], row, column

    def component_sums(self, const real[:, ::1] X, const double[:, ::1] weights, const double[:, :, ::1] constants,
                       tuple support, int n_threads):
        """The same for several components: constants (k, d, n_constants), weights (k, n), (1, n) or None, give (k, d, n_sums)."""
        if self.table.sums == NULL:
            raise TypeError(f"{self.table.name.decode()} has no sums at given parameters.")
        return self._accumulate(SUMS, self.table.n_sums, X, weights, constants, support, n_threads)

    def _accumulate(self, Task task, Py_ssize_t length, const real[:, ::1] X, const double[:, ::1] weights,
                    const double[:, :, ::1] constants, tuple support, int n_threads):
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], components = 1, stride = 0
        cdef const double *w = NULL
        cdef const double *c = NULL
        if constants is not None:
            components, c = constants.shape[0], &constants[0, 0, 0]
        if weights is not None:
            if constants is not None and weights.shape[0] not in (1, components):
                raise ValueError(f"There are {weights.shape[0]} columns of weights for {components} sets of parameters.")
            components, w = max(components, weights.shape[0]), &weights[0, 0]
            stride = n if weights.shape[0] > 1 else 0
        cdef Py_ssize_t n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
        cdef Py_ssize_t n_tiles = (d + FK_TILE_COLUMNS - 1) // FK_TILE_COLUMNS
        cdef Py_ssize_t least = WAVE_BLOCKS if components == 1 else WAVE_BLOCKS_OF_SEVERAL
        cdef Py_ssize_t wave = min(n_blocks, max(least, FK_WAVE_NUMBERS // max(1, components * d * length)))
        cdef Py_ssize_t start, blocks, b, bad_row = -1, bad_column = -1, t
        cdef Job job = Job(
            task, self.table, w, stride, c, fk_support(support[0], support[1], support[2]), n, d, components, length
        )
        out = np.zeros((components, d, length))
        if n == 0:
            return out, -1, -1
        cdef double[:, :, ::1] total = out
        cdef double[:, :, :, ::1] partial = np.zeros((wave, components, d, length))
        # rows of a block by component, and in the line behind those of all blocks before
        cdef Py_ssize_t[:, ::1] present = np.zeros((wave + 1, components), dtype=np.intp)
        cdef Py_ssize_t[:, :, ::1] outside = np.empty((wave, n_tiles, 2), dtype=np.intp)
        n_threads = threads_for(n_blocks * n_tiles * components, n_threads)
        cdef double[:, ::1] buffer = np.empty((n_threads, BUFFER))

        for start in range(0, n_blocks, wave):
            PyErr_CheckSignals()
            blocks = min(wave, n_blocks - start)
            for t in prange(
                blocks * n_tiles, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1
            ):
                tile_sums(
                    &job, &X[0, 0], start + t // n_tiles, t % n_tiles, &buffer[threadid(), 0],
                    &partial[t // n_tiles, 0, 0, 0], &present[t // n_tiles, 0], &outside[t // n_tiles, t % n_tiles, 0],
                )
            for b in range(blocks):
                for t in range(n_tiles):
                    if outside[b, t, 0] >= 0 and (bad_row < 0 or outside[b, t, 0] < bad_row):
                        bad_row, bad_column = outside[b, t, 0], outside[b, t, 1]
            if bad_row >= 0:
                return out, bad_row, bad_column
            with nogil:
                merge_wave(&job, blocks, &partial[0, 0, 0, 0], &present[0, 0], &present[wave, 0], &total[0, 0, 0])
        return out, -1, -1

    def merge(self, const double[:, ::1] first, const double[:, ::1] second):
        """Statistics (d, n_statistics) of both sets of rows together; a record of weight 0 leaves the other as it is."""
        cdef Py_ssize_t wanted = self.table.n_statistics
        if first.shape[0] != second.shape[0] or first.shape[1] != wanted or second.shape[1] != wanted:
            raise ValueError(
                f"Statistics of {first.shape[0]} and {second.shape[0]} columns can't be merged, or records are too short."
            )
        out = np.array(first)
        cdef double[:, ::1] into = out
        cdef Py_ssize_t j
        for j in range(first.shape[0]):
            fk_merge_records(self.table, &into[j, 0], &second[j, 0])
        return out

    def log_density(self, X, constants, tuple support, int n_threads):
        """Sum over the columns of the log-densities of a row, (n,); -inf where a value lies outside the support.

        ``constants`` is (d, n_constants).
        """
        return self.component_log_density(X, constants[None], support, n_threads)[0]

    def component_log_density(self, const real[:, ::1] X, const double[:, :, ::1] constants, tuple support, int n_threads):
        """The same for several components: constants (k, d, n_constants) give (k, n)."""
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, done = 0, stop, wave
        cdef double began
        cdef Py_ssize_t components = constants.shape[0], n_tiles = (d + FK_TILE_COLUMNS - 1) // FK_TILE_COLUMNS
        cdef Job job = Job(
            SUMS, self.table, NULL, 0, &constants[0, 0, 0], fk_support(support[0], support[1], support[2]), n, d, components, 0
        )
        out = np.zeros((components, n))
        cdef double[:, ::1] view = out
        n_threads = threads_for(n_blocks * n_tiles * components, n_threads)
        cdef double[:, ::1] buffer = np.empty((n_threads, BUFFER))
        wave = first_wave(n_threads)
        while done < n_blocks:
            began, stop = perf_counter(), min(n_blocks, done + wave)
            for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
                block_log_density(&job, &X[0, 0], b, &buffer[threadid(), 0], &view[0, 0])
            done, wave = stop, next_wave(wave, began, n_threads)
        return out


cdef void tile_sums(
    const Job *job, const real *x, Py_ssize_t block, Py_ssize_t tile, double *buffer, double *partial, Py_ssize_t *present,
    Py_ssize_t *outside,
) noexcept nogil:
    """One task: for each component the records of the tile's columns over the block, and the first value outside the support."""
    cdef Py_ssize_t row = block * FK_BLOCK, rows = min(FK_BLOCK, job.n - row), d = job.d, kept
    cdef Py_ssize_t first = tile * FK_TILE_COLUMNS, count = min(FK_TILE_COLUMNS, d - first), j, k, at
    cdef const double *values = columns_of(x + row * d, rows, d, first, count, buffer)
    cdef double *spare = buffer + FK_TILE_COLUMNS * FK_TILE_STRIDE
    cdef double *spare_weights = spare + FK_TILE_STRIDE
    cdef double *records
    cdef const double *weights
    cdef const double *own
    cdef const double *column
    cdef Py_ssize_t[FK_TILE_COLUMNS] beyond  # the first value of a column outside the support, whatever its weight
    for j in range(count):
        beyond[j] = fk_first_outside(values + j * FK_TILE_STRIDE, rows, job.support)
    outside[0] = -1
    for k in range(job.components):
        weights = NULL if job.weights == NULL else job.weights + k * job.stride + row
        kept = rows if weights == NULL else fk_count_present(weights, rows)
        records = partial + (k * d + first) * job.length
        own = weights
        if tile == 0:
            present[k] = kept
        if kept == 0:
            memset(records, 0, count * job.length * sizeof(double))
            continue
        if kept < rows:
            fk_keep_present(weights, weights, rows, spare_weights)
            own = spare_weights
        for j in range(count):
            column = values + j * FK_TILE_STRIDE
            at = beyond[j]
            if kept < rows:
                fk_keep_present(column, weights, rows, spare)
                column = spare
                if at >= 0:
                    at = fk_first_outside(spare, kept, job.support)
                    at = fk_place_of_present(weights, at) if at >= 0 else -1
            if at >= 0:
                if outside[0] < 0 or row + at < outside[0]:
                    outside[0] = row + at
                    outside[1] = first + j
            elif job.task == STATISTICS:
                job.table.statistics(column, own, kept, records + j * job.length)
            else:
                job.table.sums(
                    column, own, kept, job.constants + (k * d + first + j) * job.table.n_constants, records + j * job.length
                )


cdef void merge_wave(
    const Job *job, Py_ssize_t blocks, const double *partial, const Py_ssize_t *present, Py_ssize_t *before, double *total
) noexcept nogil:
    """Add the partial records of a wave to the total, in block order; ``before`` counts the rows that it holds already."""
    cdef Py_ssize_t b, k, j, i, size = job.d * job.length
    cdef const double *records
    cdef double *into
    for b in range(blocks):
        for k in range(job.components):
            if present[b * job.components + k] == 0:
                continue
            records = partial + (b * job.components + k) * size
            into = total + k * size
            if before[k] == 0:
                memcpy(into, records, size * sizeof(double))
            elif job.task == STATISTICS:
                for j in range(job.d):
                    fk_merge_records(job.table, into + j * job.length, records + j * job.length)
            else:
                for i in range(size):
                    into[i] += records[i]
            before[k] += present[b * job.components + k]


cdef void block_log_density(const Job *job, const real *x, Py_ssize_t block, double *buffer, double *out) noexcept nogil:
    cdef Py_ssize_t row = block * FK_BLOCK, rows = min(FK_BLOCK, job.n - row), d = job.d, first = 0, count, j, k
    cdef const double *values
    cdef double *into
    while first < d:
        count = min(FK_TILE_COLUMNS, d - first)
        values = columns_of(x + row * d, rows, d, first, count, buffer)
        for k in range(job.components):
            into = out + k * job.n + row
            for j in range(count):
                fk_add_log_density(
                    job.table, values + j * FK_TILE_STRIDE, rows, job.constants + (k * d + first + j) * job.table.n_constants,
                    into,
                )
                fk_mask_outside(values + j * FK_TILE_STRIDE, rows, job.support, into)
        first += FK_TILE_COLUMNS
