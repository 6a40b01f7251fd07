"""The expectation step of mixtures of normal components whose columns are independent: all of it, tile by tile.

A tile of rows is laid out column by column once for all components; its log-densities, their log-sum, the responsibilities
and the weighted sums follow while it is in the cache. Sums are about the components' own means, in units of their standard
deviations, so that those of blocks add up; blocks have a fixed length and are added in their order, so that the number of
threads does not change a bit.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from fastkl._core._linalg cimport real

cdef extern from "fk_diagonal.h" nogil:
    const int FK_BLOCK
    const int FK_MIXTURE_ROWS
    const int FK_WAVE_NUMBERS
    void fk_columns_f64(const double *x, Py_ssize_t n, Py_ssize_t d, double *tile)
    void fk_columns_f32(const float *x, Py_ssize_t n, Py_ssize_t d, double *tile)
    void fk_diagonal_logs(const double *tile, Py_ssize_t n, Py_ssize_t d, Py_ssize_t components, const double *constants,
                          const double *means, const double *inverse, double *logs)
    void fk_diagonal_sums(const double *tile, const double *weights, Py_ssize_t n, Py_ssize_t d, Py_ssize_t components,
                          const double *means, const double *inverse, double *records)
    void fk_log_sum_exp(double *logs, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, int share, double *evidence)
    void fk_weigh(double *x, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, const double *w)
    double fk_weighted_sum(const double *x, const double *w, Py_ssize_t n)


cdef class DiagonalNormals:
    """Normal components by log-weights with the constants of the densities (k,), means and 1 / standard deviations (k, d)."""

    cdef Py_ssize_t components, d
    cdef double[::1] constants
    cdef double[:, ::1] means, inverse

    def __init__(self, constants, means, inverse):
        self.constants, self.means = np.array(constants, dtype=np.float64), np.array(means, dtype=np.float64, order="C")
        self.inverse = np.array(inverse, dtype=np.float64, order="C")
        self.components, self.d = self.means.shape[0], self.means.shape[1]

    cdef Py_ssize_t scratch_size(self) noexcept nogil:
        return FK_MIXTURE_ROWS * (self.d + self.components)

    def evidence(self, const real[:, ::1] X, int n_threads):
        """Log-density of every row under the mixture, (n,)."""
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        out = np.empty(n)
        cdef double[::1] view = out
        cdef double[:, ::1] scratch = np.empty((n_threads, self.scratch_size()))
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            self.block(
                &X[b * FK_BLOCK, 0], NULL, min(FK_BLOCK, n - b * FK_BLOCK), NULL, &scratch[threadid(), 0],
                &view[b * FK_BLOCK], NULL,
            )
        return out

    def expectation(self, const real[:, ::1] X, const double[::1] weights, const double[:, ::1] centres, int n_threads):
        """Total log-likelihood, and the sums of weights, of weight * z and of weight * z^2 of each component: (k, 1 + 2 d).

        z is the distance from the component's row of ``centres`` in its standard deviations.
        """
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, wave, start, blocks, b, i
        cdef Py_ssize_t length = self.components * (1 + 2 * self.d)
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double total = 0.0
        wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // length)))
        records_array = np.zeros((self.components, 1 + 2 * self.d))
        cdef double[:, ::1] records = records_array, partial = np.empty((wave, length))
        cdef double *merged = &records[0, 0]
        cdef double[::1] totals = np.empty(wave)
        cdef double[:, ::1] scratch = np.empty((n_threads, self.scratch_size() + FK_BLOCK))
        for start in range(0, n_blocks, wave):
            blocks = min(wave, n_blocks - start)
            for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                totals[b] = self.block(
                    &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                    min(FK_BLOCK, n - (start + b) * FK_BLOCK), &centres[0, 0], &scratch[threadid(), FK_BLOCK],
                    &scratch[threadid(), 0], &partial[b, 0],
                )
            for b in range(blocks):
                total += totals[b]
                for i in range(length):
                    merged[i] += partial[b, i]
        return total, records_array

    cdef double block(
        self, const real *x, const double *w, Py_ssize_t n, const double *centres, double *tile, double *evidence,
        double *records
    ) noexcept nogil:
        """Log-sums of a block; where there are records, its log-likelihood and sums too."""
        cdef Py_ssize_t d = self.d, components = self.components, at = 0, rows, i
        cdef double *logs = tile + FK_MIXTURE_ROWS * d
        if records != NULL:
            for i in range(components * (1 + 2 * d)):
                records[i] = 0.0
        while at < n:
            rows = min(FK_MIXTURE_ROWS, n - at)
            if real is double:
                fk_columns_f64(x + at * d, rows, d, tile)
            else:
                fk_columns_f32(x + at * d, rows, d, tile)
            fk_diagonal_logs(
                tile, rows, d, components, &self.constants[0], &self.means[0, 0], &self.inverse[0, 0], logs
            )
            fk_log_sum_exp(logs, rows, components, FK_MIXTURE_ROWS, records != NULL, evidence + at)
            if records != NULL:
                if w != NULL:
                    fk_weigh(logs, rows, components, FK_MIXTURE_ROWS, w + at)
                fk_diagonal_sums(tile, logs, rows, d, components, centres, &self.inverse[0, 0], records)
            at += rows
        return 0.0 if records == NULL else fk_weighted_sum(evidence, w, n)
