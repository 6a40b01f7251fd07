"""The kd-tree of nearest-neighbour searches as an object: it owns the arrays, slices the queries and runs the threads.

The work is in the headers: ``fk_build.h`` (building), ``fk_knn.h`` (nearest neighbours), ``fk_list.h`` (which rows the
neighbours are), ``fk_leaf.h`` (distances within a leaf). Closed balls are counted in ``_balls``, which compiles beside it.
Every block of queries is searched on its own, so results are the same for any number of threads.
"""

from cython.parallel cimport prange
from fastkl._core._threads cimport effective_threads
from fastkl._core._waves cimport first_wave, next_wave, perf_counter

import numpy as np

cdef extern from "fk_build.h" nogil:
    void fk_magnitudes_64(const double *x, Py_ssize_t n, double *least, double *most)
    void fk_magnitudes_32(const float *x, Py_ssize_t n, double *least, double *most)
    Py_ssize_t fk_count_nodes(Py_ssize_t n_leaves)
    void fk_share(fk_tree *tree, double *keys, Py_ssize_t node, Py_ssize_t first, Py_ssize_t last)
    void fk_build_child(fk_tree *tree, double *keys, Py_ssize_t node, int i)
    void fk_order_leaf(fk_tree *tree, double *keys, Py_ssize_t start, Py_ssize_t end)
    void fk_pack_leaf(fk_tree *tree, Py_ssize_t leaf)

cdef extern from "fk_slack.h" nogil:
    const double FK_RELATIVE_SLACK

cdef extern from "fk_knn.h" nogil:
    ctypedef struct fk_knn_job:
        const fk_tree *queries
        const fk_tree *tree
        Py_ssize_t k
        int self
        int only_last
        int in_order
        Py_ssize_t first
        double scale
        double *out
    int fk_knn(const fk_knn_job *job, const int *positions, Py_ssize_t start, Py_ssize_t end)

cdef extern from "fk_list.h" nogil:
    int fk_list(const fk_tree *tree, const double *radius, Py_ssize_t k, Py_ssize_t start, Py_ssize_t end, int *out)

cdef enum:
    ORDERED = 256  # rows of a leaf in which neighbouring queries are worth bringing together
    ENOUGH = 1 << 17  # numbers in a sample that is worth building with threads


RELATIVE_SLACK = FK_RELATIVE_SLACK


cdef class Tree:
    """A balanced kd-tree over the rows of ``X`` with leaves of ``leaf`` rows.

    ``preselect`` keeps float32 coordinates relative to the leaf's centre, for many columns, instead of float64 ones.
    ``together`` lets several blocks of queries walk at once (with ``preselect``), where boxes rule out little.
    ``n_jobs`` is asked for its threads in every search: a process that was forked meanwhile has one.
    """

    def __init__(self, X, Py_ssize_t leaf, bint preselect, bint together, n_jobs):
        cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_leaves = (n + leaf - 1) // leaf
        cdef Py_ssize_t n_nodes = fk_count_nodes(n_leaves)
        cdef fk_tree *tree = &self.tree
        cdef int[::1] order
        cdef const double[:, ::1] rows64
        cdef const float[:, ::1] rows32
        self.X = X
        self.order = order = np.arange(n, dtype=np.int32)
        self.n_jobs = n_jobs
        self.arrays = []
        tree.n, tree.d, tree.leaf, tree.n_leaves, tree.n_nodes = n, d, leaf, n_leaves, n_nodes
        tree.order, tree.together = &order[0], together
        if X.dtype == np.float32:
            rows32 = X
            tree.rows32 = &rows32[0, 0]
        else:
            rows64 = X
            tree.rows64 = &rows64[0, 0]
        tree.low, tree.high = self._doubles(n_leaves * d), self._doubles(n_leaves * d)
        tree.boxes = self._doubles(n_nodes * 2 * d * FK_CHILDREN)
        tree.child, tree.first = self._integers(n_nodes * FK_CHILDREN), self._integers(n_nodes * (FK_CHILDREN + 1))
        if preselect:
            if tree.rows64:
                tree.ordered64 = self._doubles(n * d)
            else:
                tree.ordered32 = self._floats(n * d)
            tree.near_points, tree.half_norm = self._floats(n_leaves * leaf * d), self._floats(n_leaves * leaf)
            tree.largest, tree.factor = self._floats(n_leaves), self._doubles(n_leaves)
        else:
            tree.points = self._doubles(n_leaves * leaf * d)
        self._build(np.empty(n))

    cdef double *_doubles(self, Py_ssize_t size) except? NULL:
        cdef double[::1] array = np.empty(size + 1)
        self.arrays.append(array)
        return &array[0]

    cdef float *_floats(self, Py_ssize_t size) except? NULL:
        cdef float[::1] array = np.empty(size + 1, dtype=np.float32)
        self.arrays.append(array)
        return &array[0]

    cdef int *_integers(self, Py_ssize_t size) except? NULL:
        cdef int[::1] array = np.empty(size + 1, dtype=np.int32)
        self.arrays.append(array)
        return &array[0]

    cdef int _build(self, double[::1] keys) except -1:
        cdef fk_tree *tree = &self.tree
        cdef int i, n_threads = effective_threads(self.n_jobs) if tree.n * tree.d >= ENOUGH else 1
        with nogil:
            if tree.n_nodes == 0:
                if tree.near_points == NULL or tree.leaf <= ORDERED:
                    fk_order_leaf(tree, &keys[0], 0, tree.n)
                fk_pack_leaf(tree, 0)
            else:
                fk_share(tree, &keys[0], 0, 0, tree.n_leaves)
                for i in prange(FK_CHILDREN, schedule="dynamic", num_threads=n_threads, use_threads_if=n_threads > 1):
                    fk_build_child(tree, &keys[0], 0, i)
        return 0

    def nearest(self, Tree queries, Py_ssize_t k, bint same, bint only_last, bint in_order, double scale,
                Py_ssize_t first, Py_ssize_t last, const int[::1] positions, double[::1] out):
        """Distances to the k nearest rows, into ``out``: (n * k), or (n) of the k-th with ``only_last``.

        ``same`` says that the queries are the rows themselves; ``in_order`` leaves results by position, not by row. The
        queries are those at the positions from ``first`` (a multiple of ``CHUNK``; without ``in_order`` 0) up to ``last``;
        ``positions`` (int32, ascending, or None for all of these) restricts them further.
        """
        cdef fk_knn_job job
        cdef const int *listed = NULL
        cdef int failed = 0, n_threads = effective_threads(self.n_jobs)
        cdef Py_ssize_t start = first, n = last, c, n_chunks, done = 0, stop, wave = first_wave(n_threads)
        cdef double began
        cdef bint in_threads = n_threads > 1 and worth_threads(last - first, &self.tree)
        if positions is not None:
            start, n = 0, positions.shape[0]
            if n == 0:
                return
            listed = &positions[0]
        job.queries, job.tree, job.k, job.self = &queries.tree, &self.tree, k, same
        job.only_last, job.in_order, job.first, job.scale, job.out = only_last, in_order, first, scale, &out[0]
        n_chunks = (n - start + CHUNK - 1) // CHUNK
        while done < n_chunks:
            began, stop = perf_counter(), min(n_chunks, done + wave)
            for c in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                failed += fk_knn(&job, listed, start + c * CHUNK, min(n, start + (c + 1) * CHUNK))
            done, wave = stop, next_wave(wave, began, n_threads)
        if failed:
            raise MemoryError(f"No memory for the lists of the {k} nearest rows.")

    def listed(self, Py_ssize_t k, const double[::1] radius, int[:, ::1] out):
        """Positions of the k nearest other rows of each row, (n, k), in the tree's order; ``radius`` holds the k-th distances."""
        cdef int failed = 0, n_threads = effective_threads(self.n_jobs)
        cdef Py_ssize_t n = self.tree.n, c, n_chunks = (n + CHUNK - 1) // CHUNK
        cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
        cdef double began
        cdef bint in_threads = n_threads > 1 and worth_threads(n, &self.tree)
        while done < n_chunks:
            began, stop = perf_counter(), min(n_chunks, done + wave)
            for c in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                failed += fk_list(&self.tree, &radius[0], k, c * CHUNK, min(n, (c + 1) * CHUNK), &out[0, 0])
            done, wave = stop, next_wave(wave, began, n_threads)
        if failed:
            raise RuntimeError(f"The lists of the {k} nearest rows are not complete: too little memory, or other radii.")


def magnitudes(X):
    """Least non-zero and greatest absolute value of X (float32 or float64, C-contiguous); nan if one is not finite."""
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
