"""Sums and maps over the squared distances of rows for the multivariate t (``fk_student.h``), block by block."""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from fastkl._core._linalg cimport (
    block_moments, block_squares, merge_records, moments_scratch, needs_blas, real, squares_scratch, triangle_of,
)
from fastkl._core._waves cimport first_wave, next_wave, perf_counter

cdef extern from "fk_student.h" nogil:
    const int FK_BLOCK
    const int STUDENT_SUMS
    void student_sums(const double *s, const double *w, Py_ssize_t n, double k, double d, double *sums)
    void student_sums_and_weights(const double *s, const double *w, Py_ssize_t n, double k, double d, double *sums, double *own)
    void student_log_density(double *s, Py_ssize_t n, double k, double d, double constant)
    void student_weights(const double *s, const double *w, Py_ssize_t n, double k, double d, double *out)

# A block takes some 50 microseconds: fewer blocks than these are done before a second thread has woken up.
cdef enum:
    THREADS_FROM = 8


def sums(const double[::1] squares, const double[::1] weights, double inverse_df, double d, int n_threads):
    """Weighted sums of g and of its first and second derivative by 1 / df, (3,); blocks are added in order."""
    cdef Py_ssize_t n = squares.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    cdef const double *w = &weights[0] if weights is not None else NULL
    partial_array = np.empty((n_blocks, STUDENT_SUMS))
    cdef double[:, ::1] partial = partial_array
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        at = b * FK_BLOCK
        student_sums(&squares[at], w + at if w != NULL else NULL, min(FK_BLOCK, n - at), inverse_df, d, &partial[b, 0])
    total = np.zeros(STUDENT_SUMS)
    for b in range(n_blocks):
        total += partial_array[b]
    return total


def student_sums_of_rows(const real[:, ::1] X, const double[::1] weights, const double[::1] loc,
                         const double[:, ::1] lower, double inverse_df, int n_threads):
    """One pass over rows with squared distances |L^-1 (x - loc)|^2: ``sums`` of these, and moments under their ``row_weights``.

    Returns ``(rises, (weight, mean, scatter))``: (3,), and the weight, mean (d,) and scatter (d, d) of the rows. Blocks are
    merged in order.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, length = 1 + d + d * d
    cdef Py_ssize_t wave = min(n_blocks, max(2 * n_threads, 32)), start, blocks, b, i
    cdef Py_ssize_t shared = max(squares_scratch(d), moments_scratch(d))
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    cdef const double *w = &weights[0] if weights is not None else NULL
    records_array, rises_array = np.empty((wave, length)), np.empty((wave, STUDENT_SUMS))
    scratch_array = np.empty((n_threads, 2 * FK_BLOCK + shared))
    cdef double[:, ::1] records = records_array, rises = rises_array, scratch = scratch_array
    cdef double[:, ::1] triangle = triangle_of(lower)
    total_array, merged_array = np.zeros(STUDENT_SUMS), np.zeros(length)
    cdef double[::1] total = total_array, merged = merged_array
    with single_threaded_blas() if needs_blas(d) else nullcontext():
        for start in range(0, n_blocks, wave):
            PyErr_CheckSignals()
            blocks = min(wave, n_blocks - start)
            for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                block_student_sums(
                    &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                    min(FK_BLOCK, n - (start + b) * FK_BLOCK), d, &loc[0], &triangle[0, 0], inverse_df,
                    &scratch[threadid(), 0], &rises[b, 0], &records[b, 0],
                )
            for b in range(blocks):
                for i in range(STUDENT_SUMS):
                    total[i] += rises[b, i]
                merge_records(&merged[0], &records[b, 0], d)
    moments = float(merged_array[0]), merged_array[1:1 + d].copy(), merged_array[1 + d:].reshape(d, d).copy()
    return total_array, moments


cdef void block_student_sums(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *loc, double *triangle, double inverse_df,
    double *scratch, double *rises, double *record
) noexcept nogil:
    cdef double *squares = scratch
    cdef double *own = scratch + FK_BLOCK
    cdef double *shared = scratch + 2 * FK_BLOCK
    block_squares(x, n, d, loc, triangle, shared, squares)
    student_sums_and_weights(squares, w, n, inverse_df, <double> d, rises, own)
    block_moments(x, own, n, d, shared, record)


def to_log_density(double[::1] squares, double inverse_df, double d, double constant, int n_threads):
    """Overwrite squared distances by ``constant`` + g."""
    cdef Py_ssize_t n = squares.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    cdef double began
    while done < n_blocks:
        began, stop = perf_counter(), min(n_blocks, done + wave)
        for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            at = b * FK_BLOCK
            student_log_density(&squares[at], min(FK_BLOCK, n - at), inverse_df, d, constant)
        done, wave = stop, next_wave(wave, began, n_threads)


def row_weights(const double[::1] squares, const double[::1] weights, double inverse_df, double d, int n_threads):
    """Weights of the rows in the expectation step, times their own, (n,)."""
    cdef Py_ssize_t n = squares.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    cdef double began
    cdef const double *w = &weights[0] if weights is not None else NULL
    out = np.empty(n)
    cdef double[::1] view = out
    while done < n_blocks:
        began, stop = perf_counter(), min(n_blocks, done + wave)
        for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            at = b * FK_BLOCK
            student_weights(&squares[at], w + at if w != NULL else NULL, min(FK_BLOCK, n - at), inverse_df, d, &view[at])
        done, wave = stop, next_wave(wave, began, n_threads)
    return out
