"""ECME for the multivariate t on rows that fit into a cache, without a detour through Python: one thread, the same for all."""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from libc.math cimport INFINITY, fabs, fmax, fmin, isfinite, log, sqrt
from libc.string cimport memcpy, memset

from fastkl._core._linalg cimport (
    block_moments, block_squares, merge_records, moments_scratch, needs_blas, real, squares_scratch, triangle_of,
)

cdef extern from "fk_student.h" nogil:
    const int FK_BLOCK
    void student_sums(const double *s, const double *w, Py_ssize_t n, double k, double d, double *sums)
    void student_weights(const double *s, const double *w, Py_ssize_t n, double k, double d, double *out)

cdef extern from "fk_student_degrees.h" nogil:
    double student_log_constant(double k, double d)
    void student_constant_slopes(double k, double d, double *first, double *second)

cdef double FIRST_K = 0.01  # tried where the normal distribution is left


cdef struct Hill:
    const double *w  # or NULL
    double *squares
    Py_ssize_t n
    double d
    double weight


cdef void rises(const Hill *hill, double k, double *total) noexcept nogil:
    """Sums over the rows of the part of the log-density that depends on their distances, with two derivatives by k."""
    cdef double[3] part
    cdef Py_ssize_t at = 0, i
    memset(total, 0, 3 * sizeof(double))
    while at < hill.n:
        student_sums(hill.squares + at, NULL if hill.w == NULL else hill.w + at, min(FK_BLOCK, hill.n - at), k, hill.d, part)
        for i in range(3):
            total[i] += part[i]
        at += FK_BLOCK


cdef void slopes(const Hill *hill, double k, double *first, double *second) noexcept nogil:
    """First and second derivative of the log-likelihood by k = 1 / df."""
    cdef double[3] total
    student_constant_slopes(k, hill.d, first, second)
    rises(hill, k, total)
    first[0] = hill.weight * first[0] + total[1]
    second[0] = hill.weight * second[0] + total[2]


cdef double best_inverse_df(const Hill *hill, double k) noexcept nogil:
    """Guarded Newton steps on k at the present distances; 0 where the likelihood falls from k = 0 (the normal) on."""
    cdef double low = 0.0, high = INFINITY, slope, curvature, new, at_normal, unused
    cdef bint done
    cdef int _step
    if k == 0.0:
        slopes(hill, 0.0, &at_normal, &unused)
        if at_normal <= 0.0:
            return 0.0
        k = FIRST_K
    for _step in range(12):
        slopes(hill, k, &slope, &curvature)
        if slope > 0.0:
            low = k
        else:
            high = k
        if curvature < 0.0:
            new = k - slope / curvature
        else:
            new = 4.0 * k if slope > 0.0 else 0.0
        if new <= 0.0:
            if low == 0.0:
                slopes(hill, 0.0, &at_normal, &unused)
                if at_normal <= 0.0:
                    return 0.0
            new = 0.25 * k
        new = fmin(fmax(new, 0.1 * k), 10.0 * k)
        if not low < new < high and low > 0.0 and high < INFINITY:
            new = sqrt(low * high)
        done = fabs(new - k) <= 1e-5 * k  # the error of this step is the square of that
        k = new
        if done:
            break
    return k


cdef bint factorised(const double *matrix, Py_ssize_t d, double *lower) noexcept nogil:
    """The lower Cholesky factor, its upper triangle 0; False where the matrix is not positive definite, or not finite."""
    cdef Py_ssize_t i, j, k
    cdef double total
    memset(lower, 0, d * d * sizeof(double))
    for i in range(d):
        for j in range(i + 1):
            total = matrix[i * d + j]
            for k in range(j):
                total -= lower[i * d + k] * lower[j * d + k]
            if i > j:
                lower[i * d + j] = total / lower[j * d + j]
            elif total > 0.0 and isfinite(total):
                lower[i * d + i] = sqrt(total)
            else:
                return False
    return True


cdef double log_diagonal(const double *lower, Py_ssize_t d) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(d):
        total += log(lower[i * d + i])
    return total


cdef double whitened_change(const double *lower, double *matrix, Py_ssize_t d) noexcept nogil:
    """The largest entry of L^-1 M L^-T for a symmetric M, which is overwritten."""
    cdef double largest = 0.0
    cdef Py_ssize_t i, j, k, _turn
    for _turn in range(2):
        for j in range(d):
            for i in range(d):
                for k in range(i):
                    matrix[i * d + j] -= lower[i * d + k] * matrix[k * d + j]
                matrix[i * d + j] /= lower[i * d + i]
        for i in range(d):
            for j in range(i):
                matrix[i * d + j], matrix[j * d + i] = matrix[j * d + i], matrix[i * d + j]
    for i in range(d * d):
        largest = fmax(largest, fabs(matrix[i]))
    return largest


def ecme(const real[:, ::1] X, const double[::1] weights, double weight, loc, scale, double k, tuple free, double least,
         double wanted, int max_iter):
    """ECME steps from a start, until what is left of them, extrapolated, is negligible.

    Parameters
    ----------
    X : (n, d)
    weights : (n,) or None
        Positive.
    weight : float
        Their sum.
    loc, scale, k : (d,), (d, d), float
        The start; k = 1 / df.
    free : tuple of 3 bools
        Whether df, loc and scale move.
    least : float
        A scale whose log-determinant falls below it has collapsed.
    wanted : float
        Size of the steps that may be left, in units of the scale.
    max_iter : int

    Returns
    -------
    found : (loc, scale, k, log_likelihood, n_iter, converged), or None
        None where the scale is not positive definite at the start, or collapses on the way.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], at, i, j, length = 1 + d + d * d
    cdef bint free_df = free[0], free_loc = free[1], free_scale = free[2], converged = False
    cdef int n_iter = 0, stalled = 0
    cdef double step, previous = INFINITY, rate, new_k, value
    centre_array, scale_array = np.array(loc, dtype=np.float64), np.array(scale, dtype=np.float64, order="C")
    lower_array, work = np.empty((d, d)), np.empty(2 * n + 3 * length + d + max(squares_scratch(d), moments_scratch(d)))
    cdef double[::1] centre = centre_array, scratch = work
    cdef double[:, ::1] matrix = scale_array, lower = lower_array, triangle
    # what block_squares takes: the factor, or, for few columns, with its diagonal inverted
    triangle = triangle_of(2.0 * np.eye(d))
    cdef bint inverted = triangle[0, 0] == 0.5
    cdef double *squares = &scratch[0]
    cdef double *own = squares + n
    cdef double *record = own + n
    cdef double *part = record + length
    cdef double *change = part + length
    cdef double *shift = change + length
    cdef double *shared = shift + d
    cdef double[3] total
    cdef const double *w = NULL
    if weights is not None:
        w = &weights[0]
    cdef Hill hill = Hill(w, squares, n, <double> d, weight)
    with single_threaded_blas() if needs_blas(d) else nullcontext():
        while True:
            if not factorised(&matrix[0, 0], d, &lower[0, 0]) or 2.0 * log_diagonal(&lower[0, 0], d) < least:
                return None
            with nogil:
                memcpy(&triangle[0, 0], &lower[0, 0], d * d * sizeof(double))
                if inverted:
                    for i in range(d):
                        triangle[i, i] = 1.0 / lower[i, i]
                at = 0
                while at < n:
                    block_squares(&X[at, 0], min(FK_BLOCK, n - at), d, &centre[0], &triangle[0, 0], shared, squares + at)
                    at += FK_BLOCK
            if converged or n_iter >= max_iter or not (free_df or free_loc or free_scale):
                break
            with nogil:
                n_iter += 1
                new_k = best_inverse_df(&hill, k) if free_df else k
                step = fabs(new_k - k) / fmax(k, new_k) if new_k != k else 0.0
                k = new_k
                memset(record, 0, length * sizeof(double))
                at = 0
                while at < n:
                    i = min(FK_BLOCK, n - at)
                    student_weights(squares + at, NULL if hill.w == NULL else hill.w + at, i, k, hill.d, own + at)
                    block_moments(&X[at, 0], own + at, i, d, shared, part)
                    merge_records(record, part, d)
                    at += FK_BLOCK
                for i in range(d):
                    shift[i] = record[1 + i] - centre[i]
                if free_scale:
                    for i in range(d):
                        for j in range(d):
                            value = record[1 + d + i * d + j] / record[0]
                            if not free_loc:
                                value += shift[i] * shift[j]
                            change[i * d + j] = value - matrix[i, j]
                            matrix[i, j] = value
                    step = fmax(step, whitened_change(&lower[0, 0], change, d))
                if free_loc:
                    for i in range(d):
                        centre[i] = record[1 + i]
                        for j in range(i):
                            shift[i] -= lower[i, j] * shift[j]
                        shift[i] /= lower[i, i]
                        step = fmax(step, fabs(shift[i]))
                # rounding has the last word: steps that no longer shrink, yet are negligible
                stalled = stalled + 1 if step >= previous else 0
                rate = fmin(step / previous, 0.99) if previous < INFINITY and previous > 0.0 else 0.9
                converged = step * rate / (1.0 - rate) <= wanted and step <= 1e3 * wanted
                converged = converged or (stalled >= 3 and step <= 1e2 * wanted)
                previous = step
            if not isfinite(step):
                return None
    rises(&hill, k, total)
    value = weight * (student_log_constant(k, hill.d) - log_diagonal(&lower[0, 0], d)) + total[0]
    return centre_array, scale_array, k, value, n_iter, converged
