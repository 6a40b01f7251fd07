"""Linear algebra on blocks of rows: Mahalanobis distances, and mean and scatter matrix in one pass; the same of one column.

Rows are read as they are (float32 or float64, possibly read-only), computed with in float64, and only ever copied block by
block. BLAS is called inside the parallel loop on a block at a time, and only for many columns; the callers below hold it to one
thread meanwhile, for speed (its threads and ours would wait for each other) and so that the number of threads cannot change a bit
of the result.
"""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from fastkl._core._waves cimport first_wave, next_wave, perf_counter
from libc.string cimport memset
from scipy.linalg.cython_blas cimport ddot, dsyrk, dtrsm

cdef extern from "fk_whiten.h" nogil:
    const int FK_BLOCK
    const int FK_TILE
    const int FK_WAVE_NUMBERS
    void fk_whitened_squares_f64(const double *x, Py_ssize_t n, Py_ssize_t d, const double *mean, const double *lower,
                                 double *z, double *out)
    void fk_whitened_squares_f32(const float *x, Py_ssize_t n, Py_ssize_t d, const double *mean, const double *lower,
                                 double *z, double *out)
    void fk_affine(double *x, Py_ssize_t n, double factor, double constant)

cdef extern from "fk_scatter.h" nogil:
    void fk_sum_rows_f64(const double *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *origin, double *sum,
                         double *weight)
    void fk_sum_rows_f32(const float *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *origin, double *sum,
                         double *weight)
    Py_ssize_t fk_centre_rows_f64(const double *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out)
    Py_ssize_t fk_centre_rows_f32(const float *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out)
    void fk_merge_scatter(Py_ssize_t d, double *weight, double *mean, double *scatter, double other_weight,
                          const double *other_mean, const double *other_scatter)

cdef extern from "fk_moments.h" nogil:
    void fk_moments(const double *x, const double *w, Py_ssize_t n, double *record)
    void fk_merge_moments(double *into, const double *other)

cdef extern from "fk_present.h" nogil:
    Py_ssize_t fk_count_present(const double *w, Py_ssize_t n)
    Py_ssize_t fk_place_of_present(const double *w, Py_ssize_t at)

cdef extern from "fk_narrow.h" nogil:
    const int FK_NARROW
    const int FK_NARROW_SCRATCH
    void fk_narrow_moments_f64(const double *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *record)
    void fk_narrow_moments_f32(const float *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *record)

# From this many columns on, where the triangle outgrows the cache, it is read but once for so many rows: by a triangular
# solve of BLAS. Below, the loop of fk_whiten.h takes a half to a third of its time (measured at 64 to 384 columns).
cdef enum:
    BLAS_COLUMNS = 512
    BLAS_ROWS = 256


def whitened_squares(const real[:, ::1] X, const double[::1] mean, const double[:, ::1] lower, int n_threads,
                     double factor=1.0, double constant=0.0):
    """``constant + factor`` |L^-1 (x - mean)|^2 of every row, (n,), for a lower-triangular ``lower`` = L of shape (d, d)."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, rows
    cdef Py_ssize_t done = 0, stop, wave = first_wave(n_threads)
    cdef bint in_threads = n_threads > 1 and n_blocks > 1, plain = factor == 1.0 and constant == 0.0
    cdef double began
    out, scratch_array = np.empty(n), np.empty((n_threads, squares_scratch(d)))
    cdef double[::1] view = out
    cdef double[:, ::1] triangle = triangle_of(lower), scratch = scratch_array
    with single_threaded_blas() if d >= BLAS_COLUMNS else nullcontext():
        while done < n_blocks:
            began, stop = perf_counter(), min(n_blocks, done + wave)
            for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                rows = min(FK_BLOCK, n - b * FK_BLOCK)
                block_squares(&X[b * FK_BLOCK, 0], rows, d, &mean[0], &triangle[0, 0], &scratch[threadid(), 0],
                              &view[b * FK_BLOCK])
                if not plain:
                    fk_affine(&view[b * FK_BLOCK], rows, factor, constant)
            done, wave = stop, next_wave(wave, began, n_threads)
    return out


cdef double[:, ::1] triangle_of(const double[:, ::1] lower):
    cdef double[:, ::1] triangle = np.array(lower)
    to_triangle(&triangle[0, 0], triangle.shape[0])
    return triangle


cdef void to_triangle(double *lower, Py_ssize_t d) noexcept nogil:
    cdef Py_ssize_t j
    if d < BLAS_COLUMNS:
        for j in range(d):
            lower[j * d + j] = 1.0 / lower[j * d + j]


cdef Py_ssize_t squares_scratch(Py_ssize_t d) noexcept nogil:
    return d * (BLAS_ROWS if d >= BLAS_COLUMNS else 2 * FK_TILE)


cdef void block_squares(
    const real *x, Py_ssize_t n, Py_ssize_t d, const double *mean, double *triangle, double *scratch, double *out
) noexcept nogil:
    if d >= BLAS_COLUMNS:
        solve_block(x, n, d, mean, triangle, scratch, out)
    elif real is double:
        fk_whitened_squares_f64(x, n, d, mean, triangle, scratch, out)
    else:
        fk_whitened_squares_f32(x, n, d, mean, triangle, scratch, out)


cdef Py_ssize_t centre(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out
) noexcept nogil:
    """Rows about a point times the roots of their weights, and how many these are: those of weight 0 are left out."""
    if real is double:
        return fk_centre_rows_f64(x, w, n, d, mean, out)
    else:
        return fk_centre_rows_f32(x, w, n, d, mean, out)


cdef void solve_block(
    const real *x, Py_ssize_t n, Py_ssize_t d, const double *mean, double *lower, double *scratch, double *out
) noexcept nogil:
    """Triangular solve of a block by BLAS. A row-major block is its column-major transpose, hence L^-1 from the left."""
    cdef Py_ssize_t start = 0, i
    cdef int rows, columns = <int> d, one = 1
    cdef double unit = 1.0
    while start < n:
        rows = <int> min(BLAS_ROWS, n - start)
        centre(x + start * d, NULL, rows, d, mean, scratch)
        # row-major lower is column-major upper: its transpose is the L that is solved with
        dtrsm(b"L", b"U", b"T", b"N", &columns, &rows, &unit, lower, &columns, scratch, &columns)
        for i in range(rows):
            out[start + i] = ddot(&columns, scratch + i * d, &one, scratch + i * d, &one)
        start += BLAS_ROWS


def moments(X, weights, int n_threads):
    """Weight, mean (d,) and scatter matrix sum w (x - mean)(x - mean)' (d, d) of the rows, given weights (n,) or None.

    Every block is centred at its own mean and blocks are merged in order by Chan's formula. Rows of weight 0 count as absent.
    """
    return component_moments(X, None if weights is None else weights[None], n_threads)[0]


def component_moments(const real[:, ::1] X, const double[:, ::1] weights, int n_threads):
    """The same for several components at once, one after the other for each block: a list of k for weights (k, n)."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
    cdef Py_ssize_t length = 1 + d + d * d, components = 1, wave, start, blocks, b, k
    cdef const double *w = NULL
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    if weights is not None:
        components, w = weights.shape[0], &weights[0, 0]
    wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // (components * length))))
    total_array = np.zeros((components, length))
    cdef double[:, ::1] total = total_array, scratch = np.empty((n_threads, moments_scratch(d)))
    cdef double[:, :, ::1] partial = np.empty((wave, components, length))
    with single_threaded_blas() if needs_blas(d) else nullcontext():
        for start in range(0, n_blocks, wave):
            PyErr_CheckSignals()
            blocks = min(wave, n_blocks - start)
            for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                all_moments(&X[0, 0], w, n, d, start + b, components, &scratch[threadid(), 0], &partial[b, 0, 0])
            for b in range(blocks):
                for k in range(components):
                    merge_records(&total[k, 0], &partial[b, k, 0], d)
    return [(float(one[0]), one[1:1 + d].copy(), one[1 + d:].reshape(d, d).copy()) for one in total_array]


cdef void all_moments(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, Py_ssize_t block, Py_ssize_t components, double *scratch,
    double *records
) noexcept nogil:
    """Records of one block, for all components."""
    cdef Py_ssize_t first = block * FK_BLOCK, rows = min(FK_BLOCK, n - first), k
    for k in range(components):
        block_moments(
            x + first * d, NULL if w == NULL else w + k * n + first, rows, d, scratch, records + k * (1 + d + d * d)
        )


def value_moments(const double[::1] values, const double[::1] weights):
    """Weight, sum of squared weights, mean and squares about it of values (n,) with weights above 0 or None; n > 0.

    What ``moments`` computes for one column, without what a matrix needs: for the many short means of an estimate.
    """
    cdef Py_ssize_t n = values.shape[0], start = FK_BLOCK, i
    cdef const double *w = NULL
    cdef double[3] total
    cdef double[3] block
    cdef double squared = <double> n
    if weights is not None:
        w, squared = &weights[0], 0.0
        for i in range(n):
            squared += w[i] * w[i]
    with nogil:
        fk_moments(&values[0], w, min(n, FK_BLOCK), total)
        while start < n:
            fk_moments(&values[start], NULL if w == NULL else w + start, min(n - start, FK_BLOCK), block)
            fk_merge_moments(total, block)
            start += FK_BLOCK
    return total[0], squared, total[1], total[2]


def merge_moments(double weight, const double[::1] mean, const double[:, ::1] scatter,
                  double other_weight, const double[::1] other_mean, const double[:, ::1] other_scatter):
    """``moments`` of two sets of rows together, from the moments of each."""
    cdef Py_ssize_t d = mean.shape[0]
    if not (d == other_mean.shape[0] == scatter.shape[0] == scatter.shape[1]
            == other_scatter.shape[0] == other_scatter.shape[1]):
        raise ValueError(f"Moments of {d} and {other_mean.shape[0]} columns can't be merged, or scatters do not fit means.")
    mean_array, scatter_array = np.array(mean), np.array(scatter)
    cdef double[::1] into_mean = mean_array
    cdef double[:, ::1] into_scatter = scatter_array
    fk_merge_scatter(d, &weight, &into_mean[0], &into_scatter[0, 0], other_weight, &other_mean[0],
                     &other_scatter[0, 0])
    return weight, mean_array, scatter_array


cdef void merge_records(double *into, const double *other, Py_ssize_t d) noexcept nogil:
    """Add a record to another, either of which may be all 0: no rows."""
    fk_merge_scatter(d, into, into + 1, into + 1 + d, other[0], other + 1, other + 1 + d)


cdef Py_ssize_t tile_rows(Py_ssize_t d) noexcept nogil:
    return max(16, min(FK_BLOCK, 16384 // d))


cdef bint needs_blas(Py_ssize_t d) noexcept nogil:
    return d > FK_NARROW


cdef Py_ssize_t moments_scratch(Py_ssize_t d) noexcept nogil:
    return FK_NARROW_SCRATCH if d <= FK_NARROW else tile_rows(d) * d


cdef void block_moments(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *record
) noexcept nogil:
    if d > FK_NARROW:
        wide_moments(x, w, n, d, scratch, record)
    elif real is double:
        fk_narrow_moments_f64(x, w, n, d, scratch, record)
    else:
        fk_narrow_moments_f32(x, w, n, d, scratch, record)


cdef void wide_moments(
    const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, double *scratch, double *record
) noexcept nogil:
    cdef Py_ssize_t tile = tile_rows(d), start = 0, i, j
    cdef int columns = <int> d, count
    cdef double unit = 1.0, weight = 0.0
    cdef double *mean = record + 1
    cdef double *scatter = record + 1 + d
    cdef const double *tile_weights = NULL
    cdef const real *origin = x
    memset(record, 0, (1 + d + d * d) * sizeof(double))
    if w != NULL:
        if fk_count_present(w, n) == 0:
            return
        origin = x + fk_place_of_present(w, 0) * d
    # the mean is summed about the block's first row, so that an offset costs no digits
    for j in range(d):
        scratch[j] = origin[j]
    if real is double:
        fk_sum_rows_f64(x, w, n, d, scratch, mean, &weight)
    else:
        fk_sum_rows_f32(x, w, n, d, scratch, mean, &weight)
    record[0] = weight
    for j in range(d):
        mean[j] = scratch[j] + mean[j] / weight
    while start < n:
        count = <int> min(tile, n - start)
        if w != NULL:
            tile_weights = w + start
        count = <int> centre(x + start * d, tile_weights, count, d, mean, scratch)
        dsyrk(b"U", b"N", &columns, &count, &unit, scratch, &columns, &unit, scatter, &columns)
        start += tile
    for i in range(d):
        for j in range(i):
            scatter[j * d + i] = scatter[i * d + j]
