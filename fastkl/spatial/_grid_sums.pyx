"""Gaussian sums by way of a grid (``fk_grid_sums.h``): references are spread, the grid is convolved, queries gather."""

from cython.parallel cimport prange, threadid
from cpython.exc cimport PyErr_CheckSignals
from fastkl._core._threads cimport effective_threads
from libc.stdint cimport int32_t

import numpy as np

cdef extern from "fk_grid_sums.h" nogil:
    const int FK_GRID_LONGEST
    const int FK_GRID_STRIPE
    ctypedef struct fk_grid:
        Py_ssize_t d
        Py_ssize_t length
        Py_ssize_t reach
        Py_ssize_t n[3]
        double low[3]
        double step
        double factor
        const double *taps
        double *nodes
    void fk_grid_spread(const fk_grid *grid, const double *x, const int32_t *first, const double *weight, Py_ssize_t n,
                        Py_ssize_t start, Py_ssize_t stop)
    void fk_grid_gather(const fk_grid *grid, const double *x, const int32_t *first, Py_ssize_t n, int order, double *sums,
                        double *derivatives)
    void fk_grid_convolve(const fk_grid *grid, double *nodes, Py_ssize_t n, Py_ssize_t stride, Py_ssize_t lines,
                          double *buffer)
    void fk_grid_convolve_line(const fk_grid *grid, double *nodes, Py_ssize_t n, double *buffer)

LONGEST = FK_GRID_LONGEST


cdef class Nodes:
    """The nodes of a grid: their places, window and taps."""

    cdef fk_grid grid
    cdef double[::1] nodes, taps
    cdef int n_threads

    def __init__(self, shape, low, double step, double variance, Py_ssize_t length, taps, int n_threads):
        cdef Py_ssize_t j
        self.taps = np.ascontiguousarray(taps, dtype=np.float64)
        self.nodes = np.zeros(int(np.prod(shape)))
        self.n_threads = n_threads
        self.grid.d, self.grid.length, self.grid.reach = len(shape), length, self.taps.shape[0] - 1
        self.grid.step, self.grid.factor = step, 0.5 / variance
        for j in range(3):
            self.grid.n[j] = shape[j] if j < len(shape) else 1
            self.grid.low[j] = low[j] if j < len(shape) else 0.0
        self.grid.taps, self.grid.nodes = &self.taps[0], &self.nodes[0]

    def spread(self, const double[:, ::1] x, const int32_t[:, ::1] first, const double[::1] weights, edges, begin, end):
        """Adds references, in the order of their first column's windows: those at ``begin`` to ``end`` meet the planes between
        two ``edges``.
        """
        cdef const Py_ssize_t[::1] planes = np.asarray(edges, dtype=np.intp)
        cdef const Py_ssize_t[::1] begins = np.asarray(begin, dtype=np.intp), ends = np.asarray(end, dtype=np.intp)
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef Py_ssize_t s, n_slabs = begins.shape[0], d = self.grid.d
        cdef int threads = effective_threads(self.n_threads)  # one in a process that was forked meanwhile
        for s in prange(n_slabs, nogil=True, schedule="dynamic", num_threads=threads, use_threads_if=threads > 1):
            if ends[s] > begins[s]:
                fk_grid_spread(&self.grid, &x[0, 0] + begins[s] * d, &first[0, 0] + begins[s] * d,
                               w + begins[s] if w != NULL else NULL, ends[s] - begins[s], planes[s], planes[s + 1])

    def convolve(self):
        """Every column in turn with the taps."""
        cdef Py_ssize_t d = self.grid.d, column, outer, inner, n, pieces, p, o, at, stripes
        cdef double[:, ::1] buffers
        cdef int threads = effective_threads(self.n_threads)  # one in a process that was forked meanwhile
        longest = max(self.grid.n[0], self.grid.n[1], self.grid.n[2]) + 2 * self.grid.reach
        buffers = np.empty((threads, longest * FK_GRID_STRIPE))
        for column in range(d):
            PyErr_CheckSignals()
            n, outer, inner = self.grid.n[column], 1, 1
            for p in range(d):
                if p < column:
                    outer *= self.grid.n[p]
                elif p > column:
                    inner *= self.grid.n[p]
            stripes = (inner + FK_GRID_STRIPE - 1) // FK_GRID_STRIPE
            pieces = outer * stripes
            for p in prange(pieces, nogil=True, schedule="dynamic", num_threads=threads, use_threads_if=threads > 1):
                if inner == 1:
                    fk_grid_convolve_line(&self.grid, &self.nodes[p * n], n, &buffers[threadid(), 0])
                else:
                    o = p // stripes
                    at = p % stripes * FK_GRID_STRIPE
                    fk_grid_convolve(&self.grid, &self.nodes[o * n * inner + at], n, inner, min(FK_GRID_STRIPE, inner - at),
                                     &buffers[threadid(), 0])

    def gather(self, const double[:, ::1] x, const int32_t[:, ::1] first, int order):
        """Sums (n,) at queries, and their derivatives of the order 1 or 2 by every column (n, d), None for order 0."""
        cdef Py_ssize_t n = x.shape[0], d = self.grid.d, n_pieces, p, start
        sums, derivatives = np.empty(n), np.empty((n, d)) if order else None
        cdef double[::1] of_sums = sums
        cdef int threads = effective_threads(self.n_threads)  # one in a process that was forked meanwhile
        cdef double[:, ::1] of_derivatives = derivatives if order else np.empty((1, d))
        n_pieces = (n + 1023) // 1024
        for p in prange(n_pieces, nogil=True, schedule="dynamic", num_threads=threads, use_threads_if=threads > 1):
            start = p * 1024
            fk_grid_gather(&self.grid, &x[start, 0], &first[start, 0], min(1024, n - start), order, &of_sums[start],
                           &of_derivatives[start if order else 0, 0])
        return sums, derivatives
