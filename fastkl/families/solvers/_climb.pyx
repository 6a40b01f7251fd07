"""Ascents on the columns of a few rows, without a detour through Python: the loops over ``fk_climb.h``.

Each column has starts of its own, in groups. Of a group the start with the highest likelihood is climbed from, and of all summits
of a column the best one counts: a converged one before one that is not, then the higher.
"""

import numpy as np

from libc.math cimport frexp, isnan, ldexp

from fastkl._core._columns cimport ColumnKernel, fk_column_kernel

cdef extern from "fk_climb.h" nogil:
    enum:
        FK_MOST_PARAMETERS
        FK_MOST_SUMS
    ctypedef struct fk_hill:
        const fk_column_kernel *kernel
        const double *x
        const double *w
        Py_ssize_t n
        double weight
        double unit
        double tol
        int max_iter
        int spread
        double factor
        int[3] free
    ctypedef struct fk_summit:
        double[3] params
        double[10] sums
        int n_iter
        int converged
    void fk_evaluate(const fk_hill *hill, const double *params, double *sums)
    void fk_climb(const fk_hill *hill, const double *low, const double *high, fk_summit *at)
    int fk_better(const fk_summit *first, const fk_summit *second)


def can_climb(ColumnKernel kernel):
    """Whether the kernel has what these loops need."""
    return kernel.table.move != NULL


def climb_columns(ColumnKernel kernel, const double[:, ::1] columns, const double[::1] weights, double weight,
                  const double[:, :, :, ::1] starts, const double[:, :, :, ::1] bounds, const int[::1] free, int spread,
                  double factor, double tol, int max_iter):
    """The best summit of every column.

    Parameters
    ----------
    kernel : ColumnKernel
    columns : (d, n)
    weights : (n,) or None
        Positive.
    weight : float
        Their sum.
    starts : (d, g, v, p)
        Parameters in the order of the coordinates: v starts in each of g groups.
    bounds : (2, d, g, p)
        Least and largest values of the parameters; a climb that leaves them is given up.
    free : (p,)
        Whether a coordinate moves.
    spread, factor : int, float
        The coordinate of the parameter that is multiplied by the factor while a start has likelihood 0; -1 for none.
    tol, max_iter : float, int

    Returns
    -------
    params : (d, p)
    sums : (d, n_sums)
    n_iter : int
        The largest of all columns.
    converged : (d,)
    """
    cdef Py_ssize_t d = columns.shape[0], groups = starts.shape[1], variants = starts.shape[2], p = starts.shape[3]
    cdef Py_ssize_t j, g, v, best, i
    cdef int exponent, most = 0, length = kernel.table.n_sums
    cdef fk_hill hill
    cdef fk_summit found, here
    cdef double[10] sums
    cdef double highest
    frexp(weight, &exponent)
    hill.kernel, hill.n, hill.tol, hill.max_iter = kernel.table, columns.shape[1], tol, max_iter
    hill.unit = ldexp(1.0, min(max(exponent, -1020), 1020))
    hill.weight = weight / hill.unit
    hill.spread, hill.factor = spread, factor
    hill.w = NULL if weights is None else &weights[0]
    for i in range(p):
        hill.free[i] = free[i]
    params, all_sums, converged = np.empty((d, p)), np.empty((d, length)), np.empty(d, dtype=np.bool_)
    cdef double[:, ::1] of_params = params, of_sums = all_sums
    cdef unsigned char[::1] of_converged = converged.view(np.uint8)
    with nogil:
        for j in range(d):
            hill.x = &columns[j, 0]
            for g in range(groups):
                best = 0
                if variants > 1:
                    highest = -1e400
                    for v in range(variants):
                        fk_evaluate(&hill, &starts[j, g, v, 0], sums)
                        if not isnan(sums[0]) and sums[0] > highest:
                            best, highest = v, sums[0]
                for i in range(p):
                    here.params[i] = starts[j, g, best, i]
                fk_climb(&hill, &bounds[0, j, g, 0], &bounds[1, j, g, 0], &here)
                if g == 0 or fk_better(&here, &found):
                    found = here
            for i in range(p):
                of_params[j, i] = found.params[i]
            for i in range(length):
                of_sums[j, i] = found.sums[i] * hill.unit
            of_converged[j] = found.converged
            most = max(most, found.n_iter)
    return params, all_sums, most, converged
