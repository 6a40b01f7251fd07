"""Linear algebra on blocks of rows: Mahalanobis distances, and mean and scatter matrix in one pass.

Rows are read as they are (float32 or float64, possibly read-only), computed with in float64, and only ever copied block by
block. BLAS is called inside the parallel loop on a block at a time, and only for many columns; the callers below hold it to one
thread meanwhile, for speed (its threads and ours would wait for each other) and so that the number of threads cannot change a bit
of the result.
"""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memset
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
    void fk_centre_rows_f64(const double *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out)
    void fk_centre_rows_f32(const float *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out)
    void fk_merge_scatter(Py_ssize_t d, double *weight, double *mean, double *scatter, double other_weight,
                          const double *other_mean, const double *other_scatter)

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
    cdef bint in_threads = n_threads > 1 and n_blocks > 1, plain = factor == 1.0 and constant == 0.0
    out, scratch_array = np.empty(n), np.empty((n_threads, squares_scratch(d)))
    cdef double[::1] view = out
    cdef double[:, ::1] triangle = triangle_of(lower), scratch = scratch_array
    with single_threaded_blas() if d >= BLAS_COLUMNS else nullcontext():
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
            rows = min(FK_BLOCK, n - b * FK_BLOCK)
            block_squares(&X[b * FK_BLOCK, 0], rows, d, &mean[0], &triangle[0, 0], &scratch[threadid(), 0],
                          &view[b * FK_BLOCK])
            if not plain:
                fk_affine(&view[b * FK_BLOCK], rows, factor, constant)
    return out


cdef double[:, ::1] triangle_of(const double[:, ::1] lower):
    triangle = np.array(lower)
    if lower.shape[0] < BLAS_COLUMNS:
        np.fill_diagonal(triangle, 1.0 / np.diag(triangle))
    return triangle


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


cdef void centre(const real *x, const double *w, Py_ssize_t n, Py_ssize_t d, const double *mean, double *out) noexcept nogil:
    if real is double:
        fk_centre_rows_f64(x, w, n, d, mean, out)
    else:
        fk_centre_rows_f32(x, w, n, d, mean, out)


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


def moments(const real[:, ::1] X, const double[::1] weights, int n_threads):
    """Weight, mean (d,) and scatter matrix sum w (x - mean)(x - mean)' (d, d) of the rows.

    Every block is centred at its own mean and blocks are merged in order by Chan's formula.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
    cdef Py_ssize_t length = 1 + d + d * d, wave, start, blocks, b
    cdef const double *w = &weights[0] if weights is not None else NULL
    cdef bint in_threads = n_threads > 1 and n_blocks > 1
    wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // length)))
    total_array, partial_array = np.zeros(length), np.empty((wave, length))
    scratch_array = np.empty((n_threads, moments_scratch(d)))
    cdef double[::1] total = total_array
    cdef double[:, ::1] partial = partial_array, scratch = scratch_array
    with single_threaded_blas() if needs_blas(d) else nullcontext():
        for start in range(0, n_blocks, wave):
            blocks = min(wave, n_blocks - start)
            for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                block_moments(&X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                              min(FK_BLOCK, n - (start + b) * FK_BLOCK), d, &scratch[threadid(), 0], &partial[b, 0])
            for b in range(blocks):
                if start == 0 and b == 0:
                    memcpy(&total[0], &partial[0, 0], length * sizeof(double))
                else:
                    merge_records(&total[0], &partial[b, 0], d)
    return float(total_array[0]), total_array[1:1 + d].copy(), total_array[1 + d:].reshape(d, d).copy()


def merge_moments(double weight, const double[::1] mean, const double[:, ::1] scatter,
                  double other_weight, const double[::1] other_mean, const double[:, ::1] other_scatter):
    """``moments`` of two sets of rows together, from the moments of each."""
    mean_array, scatter_array = np.array(mean), np.array(scatter)
    cdef double[::1] into_mean = mean_array
    cdef double[:, ::1] into_scatter = scatter_array
    fk_merge_scatter(mean.shape[0], &weight, &into_mean[0], &into_scatter[0, 0], other_weight, &other_mean[0],
                     &other_scatter[0, 0])
    return weight, mean_array, scatter_array


cdef void merge_records(double *into, const double *other, Py_ssize_t d) noexcept nogil:
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
    memset(record, 0, (1 + d + d * d) * sizeof(double))
    # the mean is summed about the block's first row, so that an offset costs no digits
    for j in range(d):
        scratch[j] = x[j]
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
        centre(x + start * d, tile_weights, count, d, mean, scratch)
        dsyrk(b"U", b"N", &columns, &count, &unit, scratch, &columns, &unit, scatter, &columns)
        start += tile
    for i in range(d):
        for j in range(i):
            scatter[j * d + i] = scatter[i * d + j]
