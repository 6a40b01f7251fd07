"""Neighbours and closed balls on a line, over sorted values (``fk_line.h``), in blocks of queries for the threads."""

from cython.parallel cimport prange
from libc.stdint cimport int64_t

import numpy as np

cdef extern from "fk_line.h" nogil:
    const int FK_RUN
    void fk_line_self(const double *x, Py_ssize_t n, Py_ssize_t start, Py_ssize_t end, Py_ssize_t k, int only_last,
                      double *out)
    void fk_line_cross(const double *x, Py_ssize_t m, const double *q, Py_ssize_t start, Py_ssize_t end, Py_ssize_t k,
                       int only_last, double *out)
    void fk_line_runs(const double *weight, Py_ssize_t m, double *runs)
    void fk_line_ball(const double *x, Py_ssize_t m, const double *q, Py_ssize_t start, Py_ssize_t end, int self,
                      Py_ssize_t first, const double *radius, const double *weight, const double *runs, int64_t *count,
                      double *total)

cdef extern from "fk_config.h" nogil:
    const int FK_BLOCK


def nearest(const double[::1] x, const double[::1] queries, Py_ssize_t k, bint same, Py_ssize_t first, bint only_last,
            double[::1] out, int n_threads):
    """Distances from the sorted ``queries`` to the k nearest of the sorted ``x``: (n * k), or (n) with ``only_last``.

    ``same`` says that the queries are the values of x from position ``first`` on: a value is then not its own neighbour, by
    its position.
    """
    cdef Py_ssize_t width = 1 if only_last else k
    cdef Py_ssize_t m = x.shape[0], n = queries.shape[0], b, n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
    with nogil:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1 and n_blocks > 4):
            if same:
                fk_line_self(&x[0], m, first + b * FK_BLOCK, first + min(n, (b + 1) * FK_BLOCK), k, only_last,
                             &out[b * FK_BLOCK * width])
            else:
                fk_line_cross(&x[0], m, &queries[0], b * FK_BLOCK, min(n, (b + 1) * FK_BLOCK), k, only_last, &out[0])


def ball(const double[::1] x, const double[::1] queries, const double[::1] radius, bint same, Py_ssize_t first,
         const double[::1] weights, int64_t[::1] count, double[::1] total, int n_threads):
    """Values of the sorted ``x`` in the closed balls of ``radius`` around the sorted ``queries``, into ``count``; with
    ``weights``, in the order of x, their sums, into ``total``. ``same`` and ``first`` as in :func:`nearest`.
    """
    cdef Py_ssize_t m = x.shape[0], n = queries.shape[0], b, n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
    cdef double[::1] sums = np.empty(m // FK_RUN + 1)
    cdef const double *weight = NULL
    cdef int64_t *counts = NULL
    cdef double *totals = NULL
    if weights is None:
        counts = &count[0]
    else:
        weight, totals = &weights[0], &total[0]
        fk_line_runs(weight, m, &sums[0])
    with nogil:
        for b in prange(n_blocks, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1 and n_blocks > 4):
            fk_line_ball(&x[0], m, &queries[0], b * FK_BLOCK, min(n, (b + 1) * FK_BLOCK), same, first, &radius[0],
                         weight, &sums[0], counts, totals)
