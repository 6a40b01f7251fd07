"""The expectation step of mixtures, block by block: responsibilities of any components, and all of it for normal ones.

A block's log-densities under all components, their log-sum, the responsibilities and the weighted moments are formed one
after the other while they are in the cache: nothing of size n x k is stored. Blocks have a fixed length and are merged in
their order, so that the number of threads does not change a bit.
"""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cython.parallel cimport prange, threadid
from fastkl._core._linalg cimport (
    block_moments, block_squares, merge_records, moments_scratch, needs_blas, real, squares_scratch, triangle_of,
)

cdef extern from "fk_whiten.h" nogil:
    const int FK_BLOCK
    const int FK_WAVE_NUMBERS
    void fk_affine(double *x, Py_ssize_t n, double factor, double constant)

cdef extern from "fk_mixture.h" nogil:
    void fk_log_sum_exp(double *logs, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, int share, double *evidence)
    void fk_weigh(double *x, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, const double *w)
    double fk_weighted_sum(const double *x, const double *w, Py_ssize_t n)


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


cdef class Normals:
    """Normal components in the form that a block reads: log-weights with the constants of the densities, means, triangles."""

    cdef Py_ssize_t components, d
    cdef double[::1] constants
    cdef double[:, ::1] means
    cdef double[:, :, ::1] triangles

    def __init__(self, constants, means, lowers):
        self.constants, self.means = np.array(constants, dtype=np.float64), np.array(means, dtype=np.float64)
        self.components, self.d = self.means.shape[0], self.means.shape[1]
        self.triangles = np.stack([np.asarray(triangle_of(lower)) for lower in lowers])

    def evidence(self, const real[:, ::1] X, int n_threads):
        """Log-density of every row under the mixture, (n,)."""
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        out = np.empty(n)
        cdef double[::1] view = out
        cdef double[:, ::1] scratch = np.empty((n_threads, self.components * FK_BLOCK + squares_scratch(self.d)))
        with single_threaded_blas() if needs_blas(self.d) else nullcontext():
            for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                self.block_logs(
                    &X[b * FK_BLOCK, 0], min(FK_BLOCK, n - b * FK_BLOCK), 0, &scratch[threadid(), 0],
                    &scratch[threadid(), self.components * FK_BLOCK], &view[b * FK_BLOCK],
                )
        return out

    def expectation(self, const real[:, ::1] X, const double[::1] weights, int n_threads):
        """Total log-likelihood of the rows, and weight, mean and scatter matrix of each component: (k, 1 + d + d^2)."""
        cdef Py_ssize_t n = X.shape[0], d = self.d, n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
        cdef Py_ssize_t length = 1 + d + d * d, components = self.components, wave, start, blocks, b, k
        cdef Py_ssize_t shared = max(squares_scratch(d), moments_scratch(d))
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double total = 0.0
        wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // (components * length))))
        merged_array, totals_array = np.zeros((components, length)), np.empty(wave)
        cdef double[:, ::1] merged = merged_array
        cdef double[::1] totals = totals_array
        cdef double[:, ::1] scratch = np.empty((n_threads, (components + 1) * FK_BLOCK + shared))
        cdef double[:, :, ::1] partial = np.empty((wave, components, length))
        with single_threaded_blas() if needs_blas(d) else nullcontext():
            for start in range(0, n_blocks, wave):
                blocks = min(wave, n_blocks - start)
                for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                    totals[b] = self.block_expectation(
                        &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                        min(FK_BLOCK, n - (start + b) * FK_BLOCK), &scratch[threadid(), 0], &partial[b, 0, 0],
                    )
                for b in range(blocks):
                    total += totals[b]
                    for k in range(components):
                        merge_records(&merged[k, 0], &partial[b, k, 0], d)
        return total, merged_array

    cdef void block_logs(
        self, const real *x, Py_ssize_t n, bint share, double *logs, double *shared, double *evidence
    ) noexcept nogil:
        """Log-sums of a block, with the terms, or their shares, in ``logs``."""
        cdef Py_ssize_t k
        for k in range(self.components):
            block_squares(x, n, self.d, &self.means[k, 0], &self.triangles[k, 0, 0], shared, logs + k * FK_BLOCK)
            fk_affine(logs + k * FK_BLOCK, n, -0.5, self.constants[k])
        fk_log_sum_exp(logs, n, self.components, FK_BLOCK, share, evidence)

    cdef double block_expectation(
        self, const real *x, const double *w, Py_ssize_t n, double *scratch, double *records
    ) noexcept nogil:
        cdef Py_ssize_t components = self.components, length = 1 + self.d + self.d * self.d, k
        cdef double *evidence = scratch + components * FK_BLOCK
        cdef double *shared = evidence + FK_BLOCK
        self.block_logs(x, n, True, scratch, shared, evidence)
        if w != NULL:
            fk_weigh(scratch, n, components, FK_BLOCK, w)
        for k in range(components):
            block_moments(x, scratch + k * FK_BLOCK, n, self.d, shared, records + k * length)
        return fk_weighted_sum(evidence, w, n)
