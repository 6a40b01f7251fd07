"""Sums of kernels over references in tiles, for queries in chunks for the threads (``fk_kernel_sums.h``)."""

from cython.parallel cimport prange, threadid
from fastkl._core._waves cimport first_wave, next_wave, perf_counter

import numpy as np

cdef extern from "fk_kernel_sums.h" nogil:
    const int FK_KERNEL_TILE
    const int FK_KERNEL_CHUNK
    ctypedef struct fk_kernel_job:
        int profile
        int moments
        Py_ssize_t m
        Py_ssize_t d
        Py_ssize_t n_tiles
        Py_ssize_t n_queries
        const double *tiles
        const double *weights
        const double *narrow
        const double *low
        const double *high
        const double *tile_weight
        const double *tile_narrow
        const double *queries
        const Py_ssize_t *position
        double error
        double *log_sums
        double *moment_sums
    Py_ssize_t fk_kernel_scratch(const fk_kernel_job *job)
    void fk_kernel_chunk(const fk_kernel_job *job, Py_ssize_t chunk, double *scratch)

PACKED = 1024  # tiles

PROFILES = ("gaussian", "exponential", "epanechnikov", "tophat", "linear", "cosine")  # in the order of the header's enum


cdef class Tiles:
    """References in units of the bandwidth, packed: coordinates column by column in tiles, with boxes and weights.

    ``points`` (m, d) and ``weights`` (m,) are packed in the ``order`` (m,) of rows: near ones should follow each other.
    ``narrow`` (m,), or None, are factors of squared distances.
    """

    cdef Py_ssize_t m, d, n_tiles
    cdef double[:, :, ::1] tiles
    cdef double[:, ::1] low, high, weights, narrow
    cdef double[::1] tile_weight, tile_narrow

    def __init__(self, points, weights, narrow, order):
        m, d = points.shape
        n_tiles = -(-m // FK_KERNEL_TILE)
        self.m, self.d, self.n_tiles = m, d, n_tiles
        tiles, of_weights = np.empty((n_tiles, d, FK_KERNEL_TILE)), np.zeros(n_tiles * FK_KERNEL_TILE)
        whole = m // FK_KERNEL_TILE
        for first in range(0, whole, PACKED):  # some at a time, against memory
            last = min(whole, first + PACKED)
            rows = points[order[first * FK_KERNEL_TILE : last * FK_KERNEL_TILE]]
            tiles[first:last] = rows.reshape(last - first, FK_KERNEL_TILE, d).transpose(0, 2, 1)
        if whole < n_tiles:
            rest = points[order[whole * FK_KERNEL_TILE :]]
            tiles[whole, :, : len(rest)] = rest.T
            tiles[whole, :, len(rest) :] = rest[len(rest) - 1][:, np.newaxis]  # of weight 0; numpy 2.5 takes no -1 here
        of_weights[:m] = 1.0 if weights is None else weights[order]
        self.tiles, self.low, self.high = tiles, tiles.min(axis=2), tiles.max(axis=2)
        self.weights = of_weights.reshape(n_tiles, FK_KERNEL_TILE)
        self.tile_weight = np.asarray(self.weights).sum(axis=1)
        if narrow is not None:
            factors = np.empty(n_tiles * FK_KERNEL_TILE)
            factors[:m], factors[m:] = narrow[order], narrow[order[m - 1]]  # a row of weight 0 is at its own distance
            self.narrow = factors.reshape(n_tiles, FK_KERNEL_TILE)
            self.tile_narrow = np.asarray(self.narrow).min(axis=1)

    def sums(self, const double[:, ::1] queries, int profile, int moments, const Py_ssize_t[::1] positions, double error,
             int n_threads):
        """Logarithms of the sums (n,), and with ``moments`` the terms' mean first (1) or second (2) moments (n, d), else None.

        Moments are about the query, with -k'(r) / r as weight of a reference in place of k(r), divided by the sum of k(r).
        With ``positions`` (n,) the queries are references, those at these positions, each of which is left out of its own sum.
        """
        cdef fk_kernel_job job
        cdef Py_ssize_t n = queries.shape[0], n_chunks = (n + FK_KERNEL_CHUNK - 1) // FK_KERNEL_CHUNK, c, done = 0, stop
        cdef Py_ssize_t wave = first_wave(n_threads)
        cdef double began
        cdef bint in_threads = n_threads > 1 and n_chunks > 1
        log_sums = np.empty(n)
        cdef double[::1] of_sums = log_sums
        of_moments = np.empty((n, self.d)) if moments else None
        cdef double[:, ::1] moment_view = of_moments if moments else np.empty((1, 1))
        job.profile, job.moments, job.error = profile, moments, error
        job.position = &positions[0] if positions is not None else NULL
        job.m, job.d, job.n_tiles, job.n_queries = self.m, self.d, self.n_tiles, n
        job.tiles, job.weights, job.tile_weight = &self.tiles[0, 0, 0], &self.weights[0, 0], &self.tile_weight[0]
        job.low, job.high, job.queries = &self.low[0, 0], &self.high[0, 0], &queries[0, 0]
        job.narrow = &self.narrow[0, 0] if self.narrow is not None else NULL
        job.tile_narrow = &self.tile_narrow[0] if self.narrow is not None else NULL
        job.log_sums, job.moment_sums = &of_sums[0], &moment_view[0, 0]
        cdef double[:, ::1] scratch = np.empty((n_threads, fk_kernel_scratch(&job)))
        while done < n_chunks:
            began, stop = perf_counter(), min(n_chunks, done + wave)
            for c in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                fk_kernel_chunk(&job, c, &scratch[threadid(), 0])
            done, wave = stop, next_wave(wave, began, n_threads)
        return log_sums, of_moments
