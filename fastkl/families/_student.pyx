"""Sums and maps over the squared distances of rows for the multivariate t law (``fk_student.h``), block by block."""

import numpy as np

from cython.parallel cimport prange

cdef extern from "fk_student.h" nogil:
    const int FK_BLOCK
    const int STUDENT_SUMS
    void student_sums(const double *s, const double *w, Py_ssize_t n, double k, double d, double *sums)
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


def to_log_density(double[::1] squares, double inverse_df, double d, double constant, int n_threads):
    """Overwrite squared distances by ``constant`` + g."""
    cdef Py_ssize_t n = squares.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        at = b * FK_BLOCK
        student_log_density(&squares[at], min(FK_BLOCK, n - at), inverse_df, d, constant)


def row_weights(const double[::1] squares, const double[::1] weights, double inverse_df, double d, int n_threads):
    """Weights of the rows in the expectation step, times their own, (n,)."""
    cdef Py_ssize_t n = squares.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, at
    cdef bint in_threads = n_threads > 1 and n_blocks >= THREADS_FROM
    cdef const double *w = &weights[0] if weights is not None else NULL
    out = np.empty(n)
    cdef double[::1] view = out
    for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
        at = b * FK_BLOCK
        student_weights(&squares[at], w + at if w != NULL else NULL, min(FK_BLOCK, n - at), inverse_df, d, &view[at])
    return out
