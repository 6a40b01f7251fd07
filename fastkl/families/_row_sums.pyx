"""Sums within rows that joint families need: how far a row is off an equation, means over rows that fulfil one, and multinomial
log-probabilities.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from fastkl._core._waves cimport first_wave, next_wave, perf_counter
from libc.string cimport memset

cdef extern from "fk_column_ops.h" nogil:
    const int FK_BLOCK
    ctypedef struct fk_support:
        double low
        double high
        int integral
    Py_ssize_t fk_first_outside(const double *x, Py_ssize_t n, fk_support support)
    void fk_mask_outside(const double *x, Py_ssize_t n, fk_support support, double *out)

cdef extern from "fk_row_sums.h" nogil:
    void fk_row_excess_f64(const double *x, Py_ssize_t n, Py_ssize_t d, const double *a, double *out)
    void fk_row_excess_f32(const float *x, Py_ssize_t n, Py_ssize_t d, const double *a, double *out)
    void fk_copy_column_f64(const double *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t j, double *out)
    void fk_copy_column_f32(const float *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t j, double *out)
    void fk_add_to(double *total, const double *x, Py_ssize_t n)
    void fk_multinomial_start(const double *total, Py_ssize_t n, double *out)
    void fk_multinomial_column(const double *x, const double *total, Py_ssize_t n, double p, double *out)

cdef extern from "fk_gather.h" nogil:
    const int FK_TILE_COLUMNS
    const int FK_TILE_STRIDE
    void fk_gather_f64(const double *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t first, Py_ssize_t count, double *out)
    void fk_gather_f32(const float *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t first, Py_ssize_t count, double *out)

cdef extern from "fk_row_means.h" nogil:
    double fk_part_logs(const double *x, const double *w, Py_ssize_t n, double *total, Py_ssize_t *wrong)
    double fk_coordinates(const double *x, const double *w, Py_ssize_t n, double *total, double origin)
    Py_ssize_t fk_off_one(const double *total, Py_ssize_t n, double allowed)
    double fk_sum_weights(const double *w, Py_ssize_t n)

cdef double LARGEST = np.finfo(np.float64).max

ctypedef fused real:
    float
    double


def row_excess(const real[:, ::1] X, const double[::1] coefficients, int n_threads):
    """sum_j a_j x_j - 1 of every row as if in twice the working precision, (n,); without coefficients |x|^2 - 1."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, rows
    cdef const double *a = &coefficients[0] if coefficients is not None else NULL
    cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    cdef double began
    out = np.empty(n)
    cdef double[::1] view = out
    while done < n_blocks:
        began, stop = perf_counter(), min(n_blocks, done + wave)
        for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            rows = min(FK_BLOCK, n - b * FK_BLOCK)
            if real is double:
                fk_row_excess_f64(&X[b * FK_BLOCK, 0], rows, d, a, &view[b * FK_BLOCK])
            else:
                fk_row_excess_f32(&X[b * FK_BLOCK, 0], rows, d, a, &view[b * FK_BLOCK])
        done, wave = stop, next_wave(wave, began, n_threads)
    return out


def row_means(const real[:, ::1] X, const double[::1] weights, bint parts, double allowed, int n_threads):
    """Weight, and by column the mean logarithm of positive ``parts`` that sum to 1, or else the mean coordinate of unit vectors.

    Returns ``(weight, means)``, or None if a row is off by more than ``allowed``, or has a part that needs more care (subnormal).
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, j
    cdef const double *w = &weights[0] if weights is not None else NULL
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    cdef Py_ssize_t wrong = 0
    cdef double weight = 0.0, share
    records_array, means_array = np.empty((n_blocks, 1 + d)), np.zeros(d)
    scratch_array = np.empty((n_threads, FK_BLOCK + min(d, FK_TILE_COLUMNS) * FK_TILE_STRIDE))
    cdef double[:, ::1] records = records_array, scratch = scratch_array
    cdef double[::1] means = means_array
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        wrong += block_means(
            &X[b * FK_BLOCK, 0], w + b * FK_BLOCK if w != NULL else NULL, min(FK_BLOCK, n - b * FK_BLOCK), d, parts, allowed,
            &scratch[threadid(), 0], &records[b, 0],
        )
    if wrong:
        return None
    for b in range(n_blocks):
        if records[b, 0] == 0.0:
            continue
        weight += records[b, 0]
        share = records[b, 0] / weight
        for j in range(d):
            means[j] += (records[b, 1 + j] - means[j]) * share
    return weight, means_array


cdef Py_ssize_t block_means(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, bint parts, double allowed, double *scratch, double *record
) noexcept nogil:
    """Weight and means of one block into ``record``; how many values or rows are wrong."""
    cdef double *total = scratch
    cdef double *columns = scratch + FK_BLOCK
    cdef double *column
    cdef double weight = n if w == NULL else fk_sum_weights(w, n)
    cdef Py_ssize_t first = 0, count, j, wrong = 0
    if weight == 0.0:
        memset(record, 0, (1 + d) * sizeof(double))
        return 0
    memset(total, 0, n * sizeof(double))
    record[0] = weight
    while first < d:
        count = min(FK_TILE_COLUMNS, d - first)
        if real is double:
            fk_gather_f64(x, n, d, first, count, columns)
        else:
            fk_gather_f32(x, n, d, first, count, columns)
        for j in range(count):
            column = columns + j * FK_TILE_STRIDE
            if parts:
                record[1 + first + j] = fk_part_logs(column, w, n, total, &wrong) / weight
            else:
                record[1 + first + j] = column[0] + fk_coordinates(column, w, n, total, column[0]) / weight
        first += count
    return wrong + fk_off_one(total, n, allowed)


def multinomial_statistics(const real[:, ::1] X, const double[::1] weights, int n_threads):
    """Per block: weighted column totals, and the log-likelihood of the block at its own relative frequencies.

    Returns ``(totals, maxima, row, column)``: (n_blocks, d), (n_blocks,), and the first value that is no count (row -1 if none).
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b
    cdef const double *w = &weights[0] if weights is not None else NULL
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    totals_array, maxima_array = np.zeros((n_blocks, d)), np.zeros(n_blocks)
    outside_array = np.full((n_blocks, 2), -1, dtype=np.intp)
    scratch_array = np.empty((n_threads, 3 * FK_BLOCK + d))
    cdef double[:, ::1] totals = totals_array, scratch = scratch_array
    cdef double[::1] maxima = maxima_array
    cdef Py_ssize_t[:, ::1] outside = outside_array
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        maxima[b] = block_maximum(
            &X[b * FK_BLOCK, 0], w + b * FK_BLOCK if w != NULL else NULL, min(FK_BLOCK, n - b * FK_BLOCK), d,
            &scratch[threadid(), 0], &totals[b, 0], &outside[b, 0],
        )
    bad = np.flatnonzero(outside_array[:, 0] >= 0)
    if len(bad):
        return totals_array, maxima_array, int(bad[0] * FK_BLOCK + outside_array[bad[0], 0]), int(outside_array[bad[0], 1])
    return totals_array, maxima_array, -1, -1


def multinomial_log_density(const real[:, ::1] X, const double[::1] probabilities, int n_threads):
    """Log-probability of every row given its total, (n,); -inf for a row with a value that is no count."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b
    cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    cdef double began
    out = np.empty(n)
    scratch_array = np.empty((n_threads, 2 * FK_BLOCK))
    cdef double[::1] view = out
    cdef double[:, ::1] scratch = scratch_array
    while done < n_blocks:
        began, stop = perf_counter(), min(n_blocks, done + wave)
        for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            block_log_density(
                &X[b * FK_BLOCK, 0], min(FK_BLOCK, n - b * FK_BLOCK), d, &probabilities[0], &scratch[threadid(), 0],
                &view[b * FK_BLOCK],
            )
        done, wave = stop, next_wave(wave, began, n_threads)
    return out


cdef void copy_column(const real *x, Py_ssize_t n, Py_ssize_t d, Py_ssize_t j, double *out) noexcept nogil:
    if real is double:
        fk_copy_column_f64(x, n, d, j, out)
    else:
        fk_copy_column_f32(x, n, d, j, out)


cdef void block_log_density(
    const real *x, Py_ssize_t n, Py_ssize_t d, const double *p, double *scratch, double *out
) noexcept nogil:
    """Log-probabilities of one block; scratch holds a column and the row totals."""
    cdef double *column = scratch
    cdef double *total = scratch + FK_BLOCK
    cdef Py_ssize_t j
    cdef fk_support counts = fk_support(0.0, LARGEST, 1)
    copy_column(x, n, d, 0, total)
    for j in range(1, d):
        copy_column(x, n, d, j, column)
        fk_add_to(total, column, n)
    fk_multinomial_start(total, n, out)
    for j in range(d):
        copy_column(x, n, d, j, column)
        fk_multinomial_column(column, total, n, p[j], out)
        fk_mask_outside(column, n, counts, out)


cdef double block_maximum(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *totals, Py_ssize_t *outside
) noexcept nogil:
    """Column totals of one block and its log-likelihood at their shares; the first value that is no count."""
    cdef double *shares = scratch + 3 * FK_BLOCK
    cdef double *rows = scratch + 2 * FK_BLOCK
    cdef double total = 0.0, sum = 0.0
    cdef Py_ssize_t i, j, at
    cdef fk_support counts = fk_support(0.0, LARGEST, 1)
    for j in range(d):
        copy_column(x, n, d, j, scratch)
        at = fk_first_outside(scratch, n, counts)
        if at >= 0 and (outside[0] < 0 or at < outside[0]):
            outside[0], outside[1] = at, j
        for i in range(n):
            totals[j] += scratch[i] if w == NULL else w[i] * scratch[i]
        total += totals[j]
    if outside[0] >= 0:
        return 0.0
    for j in range(d):
        shares[j] = totals[j] / total if total > 0.0 else 0.0
    block_log_density(x, n, d, shares, scratch, rows)
    for i in range(n):
        if w == NULL:
            sum += rows[i]
        elif w[i] != 0.0:  # a row of weight 0 may have probability 0
            sum += w[i] * rows[i]
    return sum
