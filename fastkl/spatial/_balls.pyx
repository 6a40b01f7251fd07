"""Rows in closed balls around queries, by the kd-tree of ``_tree``: the queries are sliced and the threads run here.

The work is in ``fk_count.h``. A module of its own, so that the two large searches compile side by side.
"""

from cython.parallel cimport prange
from fastkl._core._threads cimport effective_threads
from fastkl._core._waves cimport first_wave, next_wave, perf_counter
from fastkl.spatial._tree cimport CHUNK, FK_CHILDREN, Tree, fk_tree, worth_threads
from libc.stdint cimport int64_t

import numpy as np

cdef extern from "fk_count.h" nogil:
    ctypedef struct fk_count_job:
        const fk_tree *queries
        const fk_tree *tree
        int self
        int in_order
        Py_ssize_t first
        double scale
        const double *radius
        const double *weight
        const double *total
        int64_t *count
        double *sum
    int fk_count(const fk_count_job *job, const int *positions, Py_ssize_t start, Py_ssize_t end)
    double fk_totals(const fk_tree *tree, const double *weight, Py_ssize_t node, double *total)

cdef extern from "fk_slack.h" nogil:
    const double FK_NOT_FARTHER


def ball(Tree tree, Tree queries, const double[::1] radius, bint same, bint in_order, double scale, Py_ssize_t first,
         Py_ssize_t last, const int[::1] positions, const double[::1] weights, int64_t[::1] count, double[::1] total):
    """Rows of ``tree`` in the closed ball of ``radius`` around each query, into ``count``; with ``weights`` (m, by row) their
    sum, into ``total``. The other arguments as in ``Tree.nearest``.
    """
    cdef fk_count_job job
    cdef const int *listed = NULL
    cdef double[::1] ordered, nodes
    cdef int failed = 0, n_threads = effective_threads(tree.n_jobs)
    cdef Py_ssize_t start = first, n = last, c, n_chunks, done = 0, stop, wave = first_wave(n_threads)
    cdef double began
    cdef bint in_threads = n_threads > 1 and worth_threads(last - first, &tree.tree)
    if positions is not None:
        start, n = 0, positions.shape[0]
        if n == 0:
            return
        listed = &positions[0]
    job.queries, job.tree, job.self, job.in_order, job.scale = &queries.tree, &tree.tree, same, in_order, scale
    job.first = first
    job.radius, job.weight, job.total, job.count, job.sum = &radius[0], NULL, NULL, NULL, NULL
    if weights is None:
        job.count = &count[0]
    else:
        ordered = np.asarray(weights)[tree.order]
        nodes = np.empty(tree.tree.n_nodes * FK_CHILDREN + 1)
        if tree.tree.n_nodes:
            fk_totals(&tree.tree, &ordered[0], 0, &nodes[0])
        job.weight, job.total, job.sum = &ordered[0], &nodes[0], &total[0]
    n_chunks = (n - start + CHUNK - 1) // CHUNK
    while done < n_chunks:
        began, stop = perf_counter(), min(n_chunks, done + wave)
        for c in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            failed += fk_count(&job, listed, start + c * CHUNK, min(n, start + (c + 1) * CHUNK))
        done, wave = stop, next_wave(wave, began, n_threads)
    if failed:
        raise MemoryError("No memory for a block of queries.")


def within(const double[:, ::1] distances, const double[::1] radius, double[::1] count, double[::1] asked):
    """How many of the known ascending ``distances`` (n, k) are in the closed balls of ``radius`` (n,), into ``count`` (n,).

    Where all are, a ball may hold more: ``asked`` (n,) is its radius there and -1 elsewhere. Gives the number of such balls.
    """
    cdef Py_ssize_t n = distances.shape[0], k = distances.shape[1], i, j, inside, full = 0
    cdef double reach
    with nogil:
        for i in range(n):
            reach, inside = radius[i] * FK_NOT_FARTHER, 0
            for j in range(k):
                inside += distances[i, j] <= reach
            count[i], asked[i] = <double>inside, -1.0
            if inside == k:
                asked[i] = radius[i]
                full += 1
    return full
