"""The kd-tree of nearest-neighbour searches as an object: it owns the arrays, slices the queries and runs the threads.

The work is in the headers: ``fk_build.h`` (building), ``fk_knn.h`` (nearest neighbours), ``fk_count.h`` (closed balls),
``fk_leaf.h`` (distances within a leaf). Every block of queries is searched on its own, so results are the same for any number
of threads.
"""

from cython.parallel cimport prange
from libc.stdint cimport int64_t

import numpy as np

cdef extern from "fk_build.h" nogil:
    ctypedef struct fk_branch:
        Py_ssize_t node, first, last
    ctypedef struct fk_tree:
        const double *rows64
        const float *rows32
        Py_ssize_t n, d, leaf, n_leaves
        int *order
        double *low
        double *high
        double *points
        float *near_points
        float *half_norm
        float *largest
    void fk_magnitudes_64(const double *x, Py_ssize_t n, double *least, double *most)
    void fk_magnitudes_32(const float *x, Py_ssize_t n, double *least, double *most)
    Py_ssize_t fk_split_top(fk_tree *tree, double *keys, fk_branch branch, int levels, fk_branch *branches)
    void fk_build_branch(fk_tree *tree, double *keys, fk_branch branch)
    void fk_join_top(fk_tree *tree, fk_branch branch, int levels)

cdef extern from "fk_knn.h" nogil:
    ctypedef struct fk_knn_job:
        const fk_tree *queries
        const fk_tree *tree
        Py_ssize_t k
        int self
        int only_last
        int in_order
        double scale
        double *out
    int fk_knn(const fk_knn_job *job, const int *positions, Py_ssize_t start, Py_ssize_t end)

cdef extern from "fk_count.h" nogil:
    ctypedef struct fk_count_job:
        const fk_tree *queries
        const fk_tree *tree
        int self
        int in_order
        double scale
        const double *radius
        const double *weight
        const double *total
        int64_t *count
        double *sum
    int fk_count(const fk_count_job *job, const int *positions, Py_ssize_t start, Py_ssize_t end)
    double fk_total(const fk_tree *tree, const double *weight, fk_branch branch, double *total)

cdef enum:
    CHUNK = 256  # queries of one piece of work: a multiple of the block of lanes
    LEVELS = 5  # the top of the tree is split before the threads start: 32 branches for them


cdef class Tree:
    """A balanced kd-tree over the rows of ``X`` with leaves of ``leaf`` rows.

    ``preselect`` keeps float32 coordinates relative to the leaf's centre, for searches in many columns, instead of float64 ones.
    """

    cdef fk_tree tree
    cdef readonly object X, order
    cdef object arrays
    cdef int n_threads

    def __init__(self, X, Py_ssize_t leaf, bint preselect, int n_threads):
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_leaves = (n + leaf - 1) // leaf
        self.X = X
        self.order = np.arange(n, dtype=np.int32)
        self.n_threads = n_threads
        low, high = np.empty((2 * n_leaves - 1, d)), np.empty((2 * n_leaves - 1, d))
        points = np.empty(0 if preselect else n_leaves * leaf * d)
        near_points = np.empty(n_leaves * leaf * d if preselect else 0, dtype=np.float32)
        half_norm = np.empty(n_leaves * leaf if preselect else 0, dtype=np.float32)
        largest = np.empty(n_leaves if preselect else 0, dtype=np.float32)
        self.arrays = low, high, points, near_points, half_norm, largest
        self.tree.n, self.tree.d, self.tree.leaf, self.tree.n_leaves = n, d, leaf, n_leaves
        self._point(X, self.order, low, high, points, near_points, half_norm, largest)
        self._build(np.empty(n))

    cdef int _point(self, X, int[::1] order, double[:, ::1] low, double[:, ::1] high, double[::1] points,
                    float[::1] near_points, float[::1] half_norm, float[::1] largest) except -1:
        cdef const double[:, ::1] rows64
        cdef const float[:, ::1] rows32
        if X.dtype == np.float32:
            rows32 = X
            self.tree.rows32 = &rows32[0, 0]
        else:
            rows64 = X
            self.tree.rows64 = &rows64[0, 0]
        self.tree.order, self.tree.low, self.tree.high = &order[0], &low[0, 0], &high[0, 0]
        if points.shape[0]:
            self.tree.points = &points[0]
        else:
            self.tree.near_points, self.tree.half_norm = &near_points[0], &half_norm[0]
            self.tree.largest = &largest[0]
        return 0

    cdef int _build(self, double[::1] keys) except -1:
        cdef fk_branch branches[1 << LEVELS]
        cdef fk_branch root
        cdef fk_tree *tree = &self.tree
        cdef Py_ssize_t i, n_branches
        cdef int n_threads = self.n_threads
        root.node, root.first, root.last = 0, 0, tree.n_leaves
        with nogil:
            n_branches = fk_split_top(tree, &keys[0], root, LEVELS, branches)
            for i in prange(n_branches, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
                fk_build_branch(tree, &keys[0], branches[i])
            fk_join_top(tree, root, LEVELS)
        return 0

    def nearest(self, Tree queries, Py_ssize_t k, bint same, bint only_last, bint in_order, double scale,
                const int[::1] positions, double[::1] out):
        """Distances to the k nearest rows, into ``out``: (n * k), or (n) of the k-th with ``only_last``.

        ``same`` says that the queries are the rows themselves; ``in_order`` leaves results by position in the queries' tree;
        ``positions`` (int32, ascending, or None for all) restricts the queries.
        """
        cdef fk_knn_job job
        cdef const int *listed = NULL
        cdef Py_ssize_t n = queries.tree.n, c, n_chunks
        cdef int failed = 0, n_threads = self.n_threads
        if positions is not None:
            n = positions.shape[0]
            if n == 0:
                return
            listed = &positions[0]
        job.queries, job.tree, job.k, job.self = &queries.tree, &self.tree, k, same
        job.only_last, job.in_order, job.scale, job.out = only_last, in_order, scale, &out[0]
        n_chunks = (n + CHUNK - 1) // CHUNK
        with nogil:
            for c in prange(n_chunks, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
                failed += fk_knn(&job, listed, c * CHUNK, min(n, (c + 1) * CHUNK))
        if failed:
            raise MemoryError(f"No memory for the lists of the {k} nearest rows.")

    def ball(self, Tree queries, const double[::1] radius, bint same, bint in_order, double scale, const int[::1] positions,
             const double[::1] weights, int64_t[::1] count, double[::1] total):
        """Rows in the closed ball of ``radius`` around each query, into ``count``; with ``weights`` (m, by row) their sum, into
        ``total``. The other arguments as in :meth:`nearest`.
        """
        cdef fk_count_job job
        cdef fk_branch root
        cdef const int *listed = NULL
        cdef double[::1] ordered, nodes
        cdef Py_ssize_t n = queries.tree.n, c, n_chunks
        cdef int failed = 0, n_threads = self.n_threads
        if positions is not None:
            n = positions.shape[0]
            if n == 0:
                return
            listed = &positions[0]
        job.queries, job.tree, job.self, job.in_order, job.scale = &queries.tree, &self.tree, same, in_order, scale
        job.radius, job.weight, job.total, job.count, job.sum = &radius[0], NULL, NULL, NULL, NULL
        if weights is None:
            job.count = &count[0]
        else:
            ordered = np.asarray(weights)[self.order]
            nodes = np.empty(2 * self.tree.n_leaves - 1)
            root.node, root.first, root.last = 0, 0, self.tree.n_leaves
            fk_total(&self.tree, &ordered[0], root, &nodes[0])
            job.weight, job.total, job.sum = &ordered[0], &nodes[0], &total[0]
        n_chunks = (n + CHUNK - 1) // CHUNK
        with nogil:
            for c in prange(n_chunks, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
                failed += fk_count(&job, listed, c * CHUNK, min(n, (c + 1) * CHUNK))
        if failed:
            raise MemoryError("No memory for a block of queries.")


def magnitudes(X):
    """Least non-zero and greatest absolute value of X (float32 or float64, C-contiguous); nan for both if one is not finite."""
    cdef double least = 0.0, most = 0.0
    cdef const double[:, ::1] x64
    cdef const float[:, ::1] x32
    if X.dtype == np.float32:
        x32 = X
        fk_magnitudes_32(&x32[0, 0], X.size, &least, &most)
    else:
        x64 = X
        fk_magnitudes_64(&x64[0, 0], X.size, &least, &most)
    return least, most
