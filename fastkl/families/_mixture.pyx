"""The expectation step of mixtures: responsibilities of any components, and all of it for normal ones and rows with gaps.

A block's log-densities under all components, their log-sum, the responsibilities and the weighted moments are formed one
after the other while they are in the cache: nothing of size n x k is stored. Blocks have a fixed length and are merged in
their order, so that the number of threads does not change a bit.
"""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from fastkl._core._linalg cimport (
    block_moments, block_squares, merge_records, moments_scratch, needs_blas, squares_scratch, to_triangle,
)
from fastkl._core._waves cimport first_wave, next_wave, perf_counter
from libc.math cimport isnan, log
from libc.string cimport memcpy

cdef extern from "fk_whiten.h" nogil:
    const int FK_BLOCK
    const int FK_WAVE_NUMBERS
    void fk_affine(double *x, Py_ssize_t n, double factor, double constant)

cdef extern from "fk_mixture.h" nogil:
    void fk_log_sum_exp(double *logs, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, int share, double *evidence)
    void fk_weigh(double *x, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, const double *w)
    double fk_weighted_sum(const double *x, const double *w, Py_ssize_t n)

cdef extern from "fk_incomplete.h" nogil:
    void fk_ordered_cholesky(const double *covariance, const Py_ssize_t *order, Py_ssize_t d, double *lower)
    double fk_trace_of_solved(Py_ssize_t d, Py_ssize_t known, const double *lower, double *s)
    void fk_regression(Py_ssize_t d, Py_ssize_t known, double *lower)
    void fk_expected_moments(Py_ssize_t d, Py_ssize_t known, const Py_ssize_t *order, const double *mean, const double *lower,
                             const double *of_known, double *scratch, double *record)

cdef double HALF_LOG_2PI = 0.91893853320467274178


def log_sum_exp(double[:, ::1] logs, bint share, int n_threads):
    """log sum_k exp(logs[k]) of every row, (n,), from logarithms (k, n), which with ``share`` become the shares in the sum."""
    cdef Py_ssize_t components = logs.shape[0], n = logs.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    out = np.empty(n)
    cdef double[::1] view = out
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        at = b * FK_BLOCK
        fk_log_sum_exp(&logs[0, at], min(FK_BLOCK, n - at), components, n, share, &view[at])
    return out


def weighted_sum(const double[::1] values, const double[::1] weights):
    """The sum of values times weights (or None): blocks are added in order, and a weight of 0 leaves its value out."""
    cdef Py_ssize_t n = values.shape[0], at
    cdef double total = 0.0
    for at in range(0, n, FK_BLOCK):
        total += fk_weighted_sum(&values[at], &weights[at] if weights is not None else NULL, min(FK_BLOCK, n - at))
    return total


cdef class IncompleteNormals:
    """Normal components as rows with unknown values (NaN) meet them: each row counts by the values that are known.

    Rows with the same columns known that follow each other share one factorisation for each component. A row of which
    nothing is known has density 1 and is left out of the sums. Rows are float64: they have been put in order, by a copy.
    """

    cdef Py_ssize_t components, d
    cdef double[::1] log_weights
    cdef double[:, ::1] means
    cdef double[:, :, ::1] covariances

    def __init__(self, log_weights, means, covariances):
        self.log_weights = np.array(log_weights, dtype=np.float64)
        self.means, self.covariances = np.array(means, dtype=np.float64), np.array(covariances, dtype=np.float64)
        self.components, self.d = self.means.shape[0], self.means.shape[1]

    cdef Py_ssize_t work_size(self) noexcept nogil:
        """Numbers of a thread: factors, triangle, mean, records, rows, and what the kernels of a block need."""
        cdef Py_ssize_t d = self.d, shared = 0, known
        for known in range(1, d + 1):  # fewer columns may need more
            shared = max(shared, squares_scratch(known), moments_scratch(known))
        return self.components * d * d + d * d + 2 * d + 2 * (1 + d + d * d) + FK_BLOCK * d + shared

    def logs(self, const double[:, ::1] X, int n_threads):
        """log(weight) + log-density of what is known of every row, under every component: (k, n)."""
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, done = 0, stop
        cdef Py_ssize_t wave = first_wave(n_threads)
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double began
        out = np.empty((self.components, n))
        cdef double[:, ::1] view = out, work = np.empty((n_threads, self.work_size()))
        cdef Py_ssize_t[:, ::1] orders = np.empty((n_threads, self.d), dtype=np.intp)
        with single_threaded_blas() if needs_blas(self.d) else nullcontext():
            while done < n_blocks:
                began, stop = perf_counter(), min(n_blocks, done + wave)
                for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                    self.block(
                        &X[b * FK_BLOCK, 0], NULL, min(FK_BLOCK, n - b * FK_BLOCK), &orders[threadid(), 0],
                        &work[threadid(), 0], &view[0, b * FK_BLOCK], n, NULL, NULL,
                    )
                done, wave = stop, next_wave(wave, began, n_threads)
        return out

    def expectation(self, const double[:, ::1] X, const double[::1] weights, int n_threads):
        """Total log-likelihood of the rows, and expected weight, mean and scatter of each component: (k, 1 + d + d^2)."""
        cdef Py_ssize_t n = X.shape[0], d = self.d, n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
        cdef Py_ssize_t length = 1 + d + d * d, components = self.components, wave, start, blocks, b, k
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double total = 0.0
        wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // (components * length))))
        merged_array, totals_array = np.zeros((components, length)), np.empty(wave)
        cdef double[:, ::1] merged = merged_array, work = np.empty((n_threads, self.work_size()))
        cdef double[:, ::1] logs = np.empty((n_threads, (components + 1) * FK_BLOCK))
        cdef double[::1] totals = totals_array
        cdef double[:, :, ::1] partial = np.empty((wave, components, length))
        cdef Py_ssize_t[:, ::1] orders = np.empty((n_threads, d), dtype=np.intp)
        with single_threaded_blas() if needs_blas(d) else nullcontext():
            for start in range(0, n_blocks, wave):
                PyErr_CheckSignals()
                blocks = min(wave, n_blocks - start)
                for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                    totals[b] = self.block(
                        &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                        min(FK_BLOCK, n - (start + b) * FK_BLOCK), &orders[threadid(), 0], &work[threadid(), 0],
                        &logs[threadid(), 0], FK_BLOCK, &logs[threadid(), components * FK_BLOCK], &partial[b, 0, 0],
                    )
                for b in range(blocks):
                    total += totals[b]
                    for k in range(components):
                        merge_records(&merged[k, 0], &partial[b, k, 0], d)
        return total, merged_array

    def expectation_of_sums(
        self, const Py_ssize_t[:, ::1] orders, const Py_ssize_t[::1] known_columns, const double[:, ::1] records
    ):
        """The same of one component, whose rows are given by the moments of each group: ``group_moments``."""
        cdef Py_ssize_t groups = orders.shape[0], d = self.d, known, g, i, j
        cdef double total = 0.0, weight
        merged_array = np.zeros(1 + d + d * d)
        cdef double[::1] merged = merged_array
        cdef double[:, ::1] work = np.empty((5, 1 + d + d * d))
        cdef double *lower = &work[0, 0]
        cdef double *s = &work[1, 0]
        cdef double *of_known = &work[2, 0]
        cdef double *scratch = &work[3, 0]
        cdef double *expected = &work[4, 0]
        cdef const Py_ssize_t *order
        cdef const double *record
        with nogil:
            for g in range(groups):
                known, order, record, weight = known_columns[g], &orders[g, 0], &records[g, 0], records[g, 0]
                if known == 0 or weight == 0.0:
                    continue
                fk_ordered_cholesky(&self.covariances[0, 0, 0], order, d, lower)
                of_known[0] = weight
                for i in range(known):
                    total -= weight * (HALF_LOG_2PI + log(lower[i * d + i]))
                    of_known[1 + i] = record[1 + order[i]]
                    scratch[i] = of_known[1 + i] - self.means[0, order[i]]
                    for j in range(known):
                        of_known[1 + known + i * known + j] = record[1 + d + order[i] * d + order[j]]
                for i in range(known):
                    for j in range(known):
                        s[i * known + j] = of_known[1 + known + i * known + j] + weight * scratch[i] * scratch[j]
                total -= 0.5 * fk_trace_of_solved(d, known, lower, s)
                fk_regression(d, known, lower)
                fk_expected_moments(d, known, order, &self.means[0, 0], lower, of_known, scratch, expected)
                merge_records(&merged[0], expected, d)
        return total, merged_array

    cdef double block(
        self, const double *x, const double *w, Py_ssize_t n, Py_ssize_t *order, double *work, double *logs, Py_ssize_t stride,
        double *evidence, double *records
    ) noexcept nogil:
        """Logs of a block; where there are records, its log-likelihood and expected moments too."""
        cdef Py_ssize_t d = self.d, first = 0, stop, known, i, j
        cdef double total = 0.0
        cdef double *rows = work + self.components * d * d + d * d + 2 * d + 2 * (1 + d + d * d)
        if records != NULL:
            for i in range(self.components * (1 + d + d * d)):
                records[i] = 0.0
        while first < n:
            known = known_first(x + first * d, d, order)
            stop = first + 1
            while stop < n and is_alike(x + stop * d, x + first * d, d):
                stop += 1
            for i in range(stop - first):
                for j in range(known):
                    rows[i * known + j] = x[(first + i) * d + order[j]]
            self.group_logs(rows, stop - first, known, order, work, logs + first, stride)
            if records != NULL and known > 0:
                total += self.group_moments(
                    rows, w + first if w != NULL else NULL, stop - first, known, order, work, logs + first, stride,
                    evidence, records,
                )
            first = stop
        return total

    cdef void group_logs(
        self, const double *rows, Py_ssize_t n, Py_ssize_t known, const Py_ssize_t *order, double *work, double *logs,
        Py_ssize_t stride
    ) noexcept nogil:
        """Logs of rows that have the same columns known, with the factor of each component left in ``work``."""
        cdef Py_ssize_t d = self.d, i, j, k
        cdef double *triangle = work + self.components * d * d
        cdef double *mean = triangle + d * d
        cdef double *shared = mean + 2 * d + 2 * (1 + d + d * d) + FK_BLOCK * d
        cdef double *lower
        cdef double constant
        for k in range(self.components):
            lower = work + k * d * d
            fk_ordered_cholesky(&self.covariances[k, 0, 0], order, d, lower)
            constant = self.log_weights[k]
            for j in range(known):
                mean[j] = self.means[k, order[j]]
                constant -= HALF_LOG_2PI + log(lower[j * d + j])
                memcpy(triangle + j * known, lower + j * d, known * sizeof(double))
            if known == 0:
                for i in range(n):
                    logs[k * stride + i] = 0.0
            else:
                to_triangle(triangle, known)
                block_squares(rows, n, known, mean, triangle, shared, logs + k * stride)
            fk_affine(logs + k * stride, n, -0.5, constant)

    cdef double group_moments(
        self, const double *rows, const double *w, Py_ssize_t n, Py_ssize_t known, const Py_ssize_t *order, double *work,
        double *logs, Py_ssize_t stride, double *evidence, double *records
    ) noexcept nogil:
        """Their log-likelihood, and their expected moments added to the records."""
        cdef Py_ssize_t d = self.d, length = 1 + d + d * d, k
        cdef double *vector = work + self.components * d * d + d * d + d
        cdef double *of_known = vector + d
        cdef double *expected = of_known + length
        cdef double *shared = expected + length + FK_BLOCK * d
        fk_log_sum_exp(logs, n, self.components, stride, True, evidence)
        if w != NULL:
            fk_weigh(logs, n, self.components, stride, w)
        for k in range(self.components):
            block_moments(rows, logs + k * stride, n, known, shared, of_known)
            if of_known[0] == 0.0:
                continue  # no share of these rows is above 0
            fk_regression(d, known, work + k * d * d)
            fk_expected_moments(
                d, known, order, &self.means[k, 0], work + k * d * d, of_known, vector, expected
            )
            merge_records(records + k * length, expected, d)
        return fk_weighted_sum(evidence, w, n)


def group_moments(const double[:, ::1] X, const double[::1] weights, const Py_ssize_t[::1] stops):
    """Weight, mean and scatter (1 + d + d^2) of each group of rows that have the same columns known, 0 where unknown.

    Groups follow each other and end before the rows ``stops``; also the columns of each, the known ones first, and how many.
    """
    cdef Py_ssize_t d = X.shape[1], groups = stops.shape[0], g, first = 0, known, start, rows, i, j
    cdef Py_ssize_t shared = 0
    records_array, orders_array = np.zeros((groups, 1 + d + d * d)), np.empty((groups, d), dtype=np.intp)
    known_array = np.empty(groups, dtype=np.intp)
    cdef double[:, ::1] records = records_array
    cdef Py_ssize_t[:, ::1] orders = orders_array
    cdef Py_ssize_t[::1] known_columns = known_array
    for i in range(1, d + 1):
        shared = max(shared, moments_scratch(i))
    cdef double[::1] work = np.empty(FK_BLOCK * d + 2 * (1 + d + d * d) + shared)
    cdef double *tile = &work[0]
    cdef double *total = tile + FK_BLOCK * d
    cdef double *part = total + 1 + d + d * d
    with single_threaded_blas() if needs_blas(d) else nullcontext():
        for g in range(groups):
            known = known_columns[g] = known_first(&X[first, 0], d, &orders[g, 0])
            for i in range(1 + known + known * known):
                total[i] = 0.0
            for start in range(first, stops[g], FK_BLOCK):
                rows = min(FK_BLOCK, stops[g] - start)
                for i in range(rows):
                    for j in range(known):
                        tile[i * known + j] = X[start + i, orders[g, j]]
                if known > 0:
                    block_moments(
                        tile, &weights[start] if weights is not None else NULL, rows, known,
                        part + 1 + d + d * d, part,
                    )
                    merge_records(total, part, known)
            records[g, 0] = total[0]
            for i in range(known):
                records[g, 1 + orders[g, i]] = total[1 + i]
                for j in range(known):
                    records[g, 1 + d + orders[g, i] * d + orders[g, j]] = total[1 + known + i * known + j]
            first = stops[g]
    return records_array, orders_array, known_array


cdef Py_ssize_t known_first(const double *x, Py_ssize_t d, Py_ssize_t *order) noexcept nogil:
    """How many values of a row are known; the numbers of their columns, and then of the others."""
    cdef Py_ssize_t known = 0, unknown, j
    for j in range(d):
        if not isnan(x[j]):
            order[known] = j
            known += 1
    unknown = known
    for j in range(d):
        if isnan(x[j]):
            order[unknown] = j
            unknown += 1
    return known


cdef bint is_alike(const double *x, const double *other, Py_ssize_t d) noexcept nogil:
    """Whether two rows have the same columns known."""
    cdef Py_ssize_t j
    for j in range(d):
        if isnan(x[j]) != isnan(other[j]):
            return False
    return True
