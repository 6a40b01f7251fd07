"""Loops over the functions of ``fk_gamma_functions.h``, and the shape of a gamma distribution for many columns."""

import numpy as np

from libc.string cimport memcpy

cdef extern from "fk_gamma_functions.h" nogil:
    const int FK_BLOCK
    enum:
        FK_WHOLE
    void fk_log_minus_digamma(const double *a, Py_ssize_t n, double *out)
    void fk_log_excesses(const double *u, const double *one_plus_u, Py_ssize_t n, double *out)
    void fk_trigamma(const double *a, Py_ssize_t n, double *out)
    void fk_trigamma_curvatures(const double *a, Py_ssize_t n, double *out)
    void fk_stirling_errors(const double *a, Py_ssize_t n, double *out)
    void fk_stirling_errors_of_counts(const double *a, Py_ssize_t n, double *out)
    void fk_beta_shape_step(const double *mean, const double *rest, const double *low, const double *high, Py_ssize_t n,
                            double *a, double *b, double *length)
    Py_ssize_t fk_gamma_shape_step(const double *excess, Py_ssize_t n, double *a)

ctypedef void (*Map)(const double *a, Py_ssize_t n, double *out) noexcept nogil


cdef Py_ssize_t left_over(const double *values, Py_ssize_t n, double *vectors) noexcept nogil:
    """How many of n values are no whole number of vectors; they are copied to such, which the first of them fills up."""
    cdef Py_ssize_t left = n % FK_WHOLE, i
    if left:
        for i in range(FK_WHOLE):
            vectors[i] = values[n - left + (i if i < left else 0)]
    return left


cdef object mapped(Map function, object a):
    """The function of every element, in an array of the same shape."""
    array = np.ascontiguousarray(a, dtype=np.float64).reshape(np.shape(a))
    out = np.empty_like(array)
    cdef const double[::1] values = array.reshape(-1)
    cdef double[::1] into = out.reshape(-1)
    cdef double[FK_WHOLE] rest, found
    cdef Py_ssize_t n = values.shape[0], left = left_over(&values[0], n, rest) if n else 0
    if n > left:
        function(&values[0], n - left, &into[0])
    if left:
        function(rest, FK_WHOLE, found)
        memcpy(&into[n - left], found, left * sizeof(double))
    return out


def log_minus_digamma(a):
    """log a - psi(a) of every element."""
    return mapped(fk_log_minus_digamma, a)


def trigamma(a):
    """psi'(a) of every element."""
    return mapped(fk_trigamma, a)


def trigamma_curvature(a):
    """a^2 (psi'(a) - 1 / a) of every element, from 1 at 0 to 1/2 at infinity."""
    return mapped(fk_trigamma_curvatures, a)


def stirling_error(a):
    """What Stirling's formula lacks of log Gamma(a), of every element."""
    return mapped(fk_stirling_errors, a)


def stirling_error_of_counts(a):
    """The same of every element of at least 1, as the kernels of counts take it."""
    return mapped(fk_stirling_errors_of_counts, a)


def log_excess(u, one_plus_u=None):
    """phi(u) = u - log(1 + u) of every element; where u is near -1, ``one_plus_u`` may know more of it."""
    first, second = np.broadcast_arrays(u, np.add(u, 1.0) if one_plus_u is None else one_plus_u)
    shape = first.shape
    cdef const double[::1] values = np.ascontiguousarray(first, dtype=np.float64).reshape(-1)
    cdef const double[::1] ratios = np.ascontiguousarray(second, dtype=np.float64).reshape(-1)
    out = np.empty(shape)
    cdef double[::1] into = out.reshape(-1)
    cdef double[FK_WHOLE] rest, rest_ratios, found
    cdef Py_ssize_t n = values.shape[0], left = left_over(&values[0], n, rest) if n else 0
    if n > left:
        fk_log_excesses(&values[0], &ratios[0], n - left, &into[0])
    if left:
        left_over(&ratios[0], n, rest_ratios)
        fk_log_excesses(rest, rest_ratios, FK_WHOLE, found)
        memcpy(&into[n - left], found, left * sizeof(double))
    return out


def gamma_shapes(const double[::1] excess, double[::1] shape, int most_steps):
    """Overwrite the starts ``shape`` by the roots of log a - psi(a) = excess; the steps it took, at most ``most_steps``.

    The values are taken in pieces that stay in cache until all of a piece have settled.
    """
    cdef Py_ssize_t n = excess.shape[0], at = 0, count
    cdef int step, most = 0
    while at < n:
        count = min(FK_BLOCK, n - at)
        step = 1
        while fk_gamma_shape_step(&excess[at], count, &shape[at]) > 0 and step < most_steps:
            step += 1
        most = max(most, step)
        at += FK_BLOCK
    return most


def beta_shapes(const double[::1] mean, const double[::1] rest, const double[::1] low, const double[::1] high, double[::1] a,
                double[::1] b, int most_steps, double enough):
    """Overwrite the starts ``a`` and ``b`` by Newton steps on log(a + b) and log(a / b); ``(steps, length of the last one)``.

    It ends with a step in which no column that moves does so by more than ``enough``; a length of infinity says that a column
    stopped where Newton's method does not suit it.
    """
    cdef Py_ssize_t n = mean.shape[0], at = 0, count, i
    cdef int step, most = 0
    cdef bint moving
    out = np.empty(n)
    cdef double[::1] length = out
    while at < n:
        count = min(FK_BLOCK, n - at)
        step, moving = 0, True
        while moving and step < most_steps:
            step += 1
            moving = False
            fk_beta_shape_step(&mean[at], &rest[at], &low[at], &high[at], count, &a[at], &b[at], &length[at])
            for i in range(at, at + count):
                moving = moving or enough < length[i] < 1.0
        most = max(most, step)
        at += FK_BLOCK
    return most, out
