"""Permuted labels on a graph of neighbours (``fk_labels.h``): random labels, and the scores of all rows under them."""

from libc.stdint cimport int32_t, uint8_t, uint64_t

import numpy as np

cdef extern from "fk_labels.h" nogil:
    const int FK_LABELS
    void fk_draw_labels(uint64_t *seeds, Py_ssize_t n, Py_ssize_t n_p, uint8_t *labels)
    void fk_score_labels(const uint8_t *labels, const int32_t *neighbors, Py_ssize_t n, Py_ssize_t k, const double *score,
                         double *in_p, double *in_q)

LANES = FK_LABELS


def score_labels(const uint8_t[:, ::1] labels, const int32_t[:, ::1] neighbors, const double[::1] score):
    """Sums of scores over the rows with label 1 and over those with label 0: (2, ``LANES``), for labels (n, ``LANES``)."""
    cdef double[:, ::1] sums = np.empty((2, FK_LABELS))
    cdef Py_ssize_t n = neighbors.shape[0], k = neighbors.shape[1]
    with nogil:
        fk_score_labels(&labels[0, 0], &neighbors[0, 0], n, k, &score[0], &sums[0, 0], &sums[1, 0])
    return np.asarray(sums)


def draw_labels(uint64_t[::1] seeds, Py_ssize_t n, Py_ssize_t n_p):
    """Random labels with ``n_p`` ones in each lane: (n, ``LANES``), for ``LANES`` seeds, which are used up."""
    cdef uint8_t[:, ::1] labels = np.empty((n, FK_LABELS), dtype=np.uint8)
    with nogil:
        fk_draw_labels(&seeds[0], n, n_p, &labels[0, 0])
    return np.asarray(labels)
