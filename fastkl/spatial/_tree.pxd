"""The kd-tree as compiled modules see it: its arrays, and when a search is worth threads."""

cdef extern from "fk_tree.h" nogil:
    const int FK_CHILDREN
    ctypedef struct fk_tree:
        const double *rows64
        const float *rows32
        Py_ssize_t n, d, leaf, n_leaves, n_nodes
        int together
        int *order
        double *low
        double *high
        double *boxes
        int *child
        int *first
        double *points
        double *ordered64
        float *ordered32
        float *near_points
        float *half_norm
        float *largest
        double *factor


cdef enum:
    CHUNK = 128  # queries of one piece of work: a multiple of the block of lanes (SPAN_STEP of index.py)


cdef class Tree:
    cdef fk_tree tree
    cdef readonly object X, order
    cdef object arrays
    cdef object n_jobs
    cdef double *_doubles(self, Py_ssize_t size) except? NULL
    cdef float *_floats(self, Py_ssize_t size) except? NULL
    cdef int *_integers(self, Py_ssize_t size) except? NULL
    cdef int _build(self, double[::1] keys) except -1


cdef inline bint worth_threads(Py_ssize_t n_queries, const fk_tree *tree) noexcept nogil:
    """Whether the search takes more than a few milliseconds: below that, waking threads on a busy machine costs more."""
    if tree.n_leaves == 1:
        return <double> n_queries * tree.n * tree.d > 2e8
    return n_queries * (tree.d + 2) > 20000
