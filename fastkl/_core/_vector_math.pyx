"""Vectorised log, exp and log1p over contiguous float64 arrays, on one thread (see ``fk_math.h``)."""

import numpy as np

cdef extern from "fk_vector_math.h" nogil:
    void fk_map_log(const double *x, Py_ssize_t n, double *out)
    void fk_map_exp(const double *x, Py_ssize_t n, double *out)
    void fk_map_log1p(const double *x, Py_ssize_t n, double *out)


def log(const double[::1] x):
    """Natural logarithm of every element, at most 2 units in the last place off."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            fk_map_log(&x[0], x.shape[0], &view[0])
    return out


def exp(const double[::1] x):
    """Exponential of every element, at most 2 units in the last place off."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            fk_map_exp(&x[0], x.shape[0], &view[0])
    return out


def log1p(const double[::1] x):
    """log(1 + x) of every element, at most 2 units in the last place off."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if x.shape[0]:
        with nogil:
            fk_map_log1p(&x[0], x.shape[0], &view[0])
    return out
