"""Vectorised log, exp and log1p over contiguous float64 arrays (see ``fk_math.h``), and interpolation, on one thread."""

import numpy as np

cdef extern from "fk_vector_math.h" nogil:
    void fk_map_log(const double *x, Py_ssize_t n, double *out)
    void fk_map_exp(const double *x, Py_ssize_t n, double *out)
    void fk_map_log1p(const double *x, Py_ssize_t n, double *out)

cdef extern from "fk_interpolation.h" nogil:
    void fk_interpolate(const double *x, Py_ssize_t stride, Py_ssize_t n, const double *knots, const double *values,
                        Py_ssize_t n_knots, double *out)


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


def interpolated(const double[:] x, const double[::1] knots, const double[::1] values):
    """What `numpy.interp` gives for x (n,) at one ascending knot or more, to the bit and several times as fast."""
    out = np.empty(x.shape[0])
    cdef double[::1] view = out
    if knots.shape[0] != values.shape[0] or not knots.shape[0]:
        raise ValueError(f"There are {knots.shape[0]} knots and {values.shape[0]} values; as many are needed, at least one.")
    if x.shape[0]:
        with nogil:
            fk_interpolate(&x[0], x.strides[0] // <Py_ssize_t>sizeof(double), x.shape[0], &knots[0], &values[0],
                           knots.shape[0], &view[0])
    return out


def looked_up(const double[::1] numbers, const double[::1] table):
    """The entry of a table for each of the whole numbers 1, 2, ... (n,); None where one is another number."""
    cdef Py_ssize_t i, n = numbers.shape[0], size = table.shape[0], at
    cdef bint known = True
    out = np.empty(n)
    cdef double[::1] view = out
    with nogil:
        for i in range(n):
            if not 1.0 <= numbers[i] <= size:
                known = False
                break
            at = <Py_ssize_t>numbers[i]
            view[i] = table[at - 1]
            if <double>at != numbers[i]:
                known = False
                break
    return out if known else None
