"""EM maps of normal components: a pass over the rows block by block, and on small tables maps one after the other.

A block's log-densities under all components, their log-sum, the responsibilities and the weighted moments are formed one
after the other while they are in the cache: nothing of size n x k is stored. Blocks have a fixed length and are merged in
their order, so that the number of threads does not change a bit. Components whose columns are independent take tiles of rows
laid out column by column, once for all of them, and sum about their own means in units of their standard deviations.
"""

from contextlib import nullcontext

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas

from cpython.exc cimport PyErr_CheckSignals
from cython.parallel cimport prange, threadid
from fastkl._core._linalg cimport (
    block_moments, block_squares, merge_records, moments_scratch, needs_blas, real, squares_scratch, to_triangle,
)
from fastkl._core._waves cimport first_wave, next_wave, perf_counter
from libc.math cimport INFINITY, NAN, fabs, log
from libc.string cimport memcpy, memset

cdef extern from "fk_whiten.h" nogil:
    const int FK_BLOCK
    const int FK_WAVE_NUMBERS
    void fk_affine(double *x, Py_ssize_t n, double factor, double constant)

cdef extern from "fk_diagonal.h" nogil:
    const int FK_MIXTURE_ROWS
    void fk_columns_f64(const double *x, Py_ssize_t n, Py_ssize_t d, double *tile)
    void fk_columns_f32(const float *x, Py_ssize_t n, Py_ssize_t d, double *tile)
    void fk_diagonal_logs(const double *tile, Py_ssize_t n, Py_ssize_t d, Py_ssize_t components, const double *constants,
                          const double *means, const double *inverse, double *logs)
    void fk_diagonal_sums(const double *tile, const double *weights, Py_ssize_t n, Py_ssize_t d, Py_ssize_t components,
                          const double *means, const double *inverse, double *records)
    void fk_log_sum_exp(double *logs, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, int share, double *evidence)
    void fk_weigh(double *x, Py_ssize_t n, Py_ssize_t components, Py_ssize_t stride, const double *w)
    double fk_weighted_sum(const double *x, const double *w, Py_ssize_t n)

cdef extern from "fk_normal_maps.h" nogil:
    Py_ssize_t fk_next_normals(double *records, Py_ssize_t components, Py_ssize_t d, int tied, const double *fixed,
                               const double *ridge, double fewest, double *weights, double *constants, double *means,
                               double *covariances, double *lowers)
    Py_ssize_t fk_next_diagonals(const double *records, Py_ssize_t components, Py_ssize_t d, int spherical, const double *fixed,
                                 double *weights, double *constants, double *means, double *deviations, double *inverse)

cdef double STEADY = 0.1  # how much factors between gains may differ, in shares of what they are short of 1
cdef int FEW = 5  # log-likelihoods, of which all factors are known
cdef double ROUNDING = 1e-15  # of a log-likelihood, in shares of it
cdef double CLOSE = 1e-6  # of what may be left to gain: distances of parameters go by the root
cdef int AHEAD = 64  # maps to there at most: quasi-Newton steps take less time than more of them


cdef class Moving:
    """Normal components of one kind on their way: EM maps of a small table one after the other, with storage made once.

    A record (``record_size`` numbers) is what a pass sums up for a component, a place (``place_size``) what a map finds of all.
    """

    cdef readonly Py_ssize_t components
    cdef Py_ssize_t d, record_size, place_size

    cdef double sums(self, const double *x, const double *w, Py_ssize_t n, double *scratch, double *records) noexcept nogil:
        """The log-likelihood of all rows, and their records."""
        return NAN

    cdef bint move(self, double *records, const double *fixed, bint joint, double *place) noexcept nogil:
        """Go to the parameters that records, which are used up, lead to; False where a component is not regular there."""
        return False

    cdef Py_ssize_t sums_scratch(self) noexcept nogil:
        """Numbers of scratch for the sums."""
        return 0

    cdef tuple parts(self, place):
        """The arrays of a place."""
        return ()

    def maps(self, X, const double[::1] weights, const double[::1] fixed, bint joint, double least, int most, double goal=0.0):
        """EM maps one after the other, while the log-likelihood gains more than ``least``, at most so many.

        They go on where that ends if the maximum is a few maps away: where gains fall by a steady factor (Aitken), the sum of all
        that would follow is known. Once it is at most ``goal``, some more maps, whose gains are lost in rounding, bring the
        parameters there too. ``joint`` says that components share a covariance, or columns a variance.

        Returns the log-likelihood at each place, the records of a pass at the last one, whether a component was not regular
        there, that place (None if no map was made): weights, means, and Cholesky factors and covariances or standard
        deviations; and what is left to gain (infinity where that is not known).
        """
        cdef const double[:, ::1] rows = np.ascontiguousarray(X, dtype=np.float64)
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef const double *held = &fixed[0] if fixed is not None else NULL
        cdef Py_ssize_t n = rows.shape[0], size = self.components * self.record_size
        cdef double total, last = -INFINITY, gain, before = INFINITY, slow = INFINITY, fast, left = INFINITY, rates[3]
        cdef int closing = -1
        cdef bint near, irregular = False
        sums, reached = np.zeros((self.components, self.record_size)), np.empty(self.place_size)
        cdef double[:, ::1] kept = sums
        cdef double[::1] found = np.empty(size), place = np.empty(self.place_size), best = reached
        cdef double[::1] scratch = np.empty(self.sums_scratch())
        rates[:], trace = [INFINITY, INFINITY, INFINITY], []
        while True:
            PyErr_CheckSignals()
            with nogil:
                total = self.sums(&rows[0, 0], w, n, &scratch[0], &found[0])
            gain = total - last
            if closing >= 0 and gain < 0.0:
                total = last
            elif not gain >= 0.0:
                closing = -1
                break
            trace.append(total)
            last = total
            memcpy(&kept[0, 0], &found[0], size * sizeof(double))
            memcpy(&best[0], &place[0], self.place_size * sizeof(double))
            if closing >= 0:
                closing -= 1
                left *= slow
            else:
                rates[:] = [rates[1], rates[2], gain / before]
                slow, fast = max(rates[0], rates[1], rates[2]), min(rates[0], rates[1], rates[2])
                before, left = gain, INFINITY
                if slow < 1.0 and slow - fast <= STEADY * (1.0 - slow) + ROUNDING * fabs(total) / gain:
                    left = gain * slow / (1.0 - slow)
                near = goal > 0.0 and left < INFINITY and log(CLOSE * goal / left) / log(slow) <= AHEAD
                if near and left <= goal:
                    closing = <int>(log(CLOSE) / log(slow))
                elif left <= goal or (gain <= least and not near and not (goal > 0.0 and len(trace) < FEW)):
                    break
            if closing == 0 or len(trace) >= most:
                break
            with nogil:
                irregular = not self.move(&found[0], held, joint, &place[0])
            if irregular:
                closing = -1
                break
        parts = self.parts(reached) if len(trace) > 1 else None  # before a map there is no place but the first
        return trace, sums, irregular, parts, left if closing >= 0 else INFINITY


cdef class Normals(Moving):
    """Normal components in the form that a block reads: log-weights with the constants of the densities, means, triangles.

    Where they move, a ridge (d, d) is added to every covariance, and a component of less weight than ``fewest`` is not regular.
    """

    cdef double[::1] constants
    cdef double[:, ::1] means, ridge
    cdef double[:, :, ::1] triangles
    cdef double fewest

    def __init__(self, constants, means, lowers, ridge=None, double fewest=0.0):
        self.constants, self.means = np.array(constants, dtype=np.float64), np.array(means, dtype=np.float64)
        self.ridge, self.fewest = None if ridge is None else np.array(ridge, dtype=np.float64, order="C"), fewest
        self.components, self.d = self.means.shape[0], self.means.shape[1]
        self.record_size = 1 + self.d + self.d * self.d
        self.place_size = self.components * (self.record_size + self.d * self.d)
        self.read_triangles(np.array(lowers, dtype=np.float64, order="C"))

    cdef void read_triangles(self, double[:, :, ::1] lowers):
        cdef Py_ssize_t k
        self.triangles = lowers
        for k in range(self.components):
            to_triangle(&self.triangles[k, 0, 0], self.d)

    def evidence(self, const real[:, ::1] X, int n_threads):
        """Log-density of every row under the mixture, (n,)."""
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, done = 0, stop
        cdef Py_ssize_t wave = first_wave(n_threads)
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double began
        out = np.empty(n)
        cdef double[::1] view = out
        cdef double[:, ::1] scratch = np.empty((n_threads, self.components * FK_BLOCK + squares_scratch(self.d)))
        with single_threaded_blas() if needs_blas(self.d) else nullcontext():
            while done < n_blocks:
                began, stop = perf_counter(), min(n_blocks, done + wave)
                for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                    self.block_logs(
                        &X[b * FK_BLOCK, 0], min(FK_BLOCK, n - b * FK_BLOCK), 0, &scratch[threadid(), 0],
                        &scratch[threadid(), self.components * FK_BLOCK], &view[b * FK_BLOCK],
                    )
                done, wave = stop, next_wave(wave, began, n_threads)
        return out

    def expectation(self, const real[:, ::1] X, const double[::1] weights, int n_threads):
        """Total log-likelihood of the rows, and weight, mean and scatter matrix of each component: (k, 1 + d + d^2)."""
        cdef Py_ssize_t n = X.shape[0], d = self.d, n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK
        cdef Py_ssize_t length = 1 + d + d * d, components = self.components, wave, start, blocks, b, k
        cdef Py_ssize_t shared = max(squares_scratch(d), moments_scratch(d))
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double total = 0.0
        wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // (components * length))))
        merged_array, totals_array = np.zeros((components, length)), np.empty(wave)
        cdef double[:, ::1] merged = merged_array
        cdef double[::1] totals = totals_array
        cdef double[:, ::1] scratch = np.empty((n_threads, (components + 1) * FK_BLOCK + shared))
        cdef double[:, :, ::1] partial = np.empty((wave, components, length))
        with single_threaded_blas() if needs_blas(d) else nullcontext():
            for start in range(0, n_blocks, wave):
                PyErr_CheckSignals()
                blocks = min(wave, n_blocks - start)
                for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                    totals[b] = self.block_expectation(
                        &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                        min(FK_BLOCK, n - (start + b) * FK_BLOCK), &scratch[threadid(), 0], &partial[b, 0, 0],
                    )
                for b in range(blocks):
                    total += totals[b]
                    for k in range(components):
                        merge_records(&merged[k, 0], &partial[b, k, 0], d)
        return total, merged_array

    cdef void block_logs(
        self, const real *x, Py_ssize_t n, bint share, double *logs, double *shared, double *evidence
    ) noexcept nogil:
        """Log-sums of a block, with the terms, or their shares, in ``logs``."""
        cdef Py_ssize_t k
        for k in range(self.components):
            block_squares(x, n, self.d, &self.means[k, 0], &self.triangles[k, 0, 0], shared, logs + k * FK_BLOCK)
            fk_affine(logs + k * FK_BLOCK, n, -0.5, self.constants[k])
        fk_log_sum_exp(logs, n, self.components, FK_BLOCK, share, evidence)

    cdef double block_expectation(
        self, const real *x, const double *w, Py_ssize_t n, double *scratch, double *records
    ) noexcept nogil:
        cdef Py_ssize_t components = self.components, length = 1 + self.d + self.d * self.d, k
        cdef double *evidence = scratch + components * FK_BLOCK
        cdef double *shared = evidence + FK_BLOCK
        self.block_logs(x, n, True, scratch, shared, evidence)
        if w != NULL:
            fk_weigh(scratch, n, components, FK_BLOCK, w)
        for k in range(components):
            block_moments(x, scratch + k * FK_BLOCK, n, self.d, shared, records + k * length)
        return fk_weighted_sum(evidence, w, n)

    def maps(self, X, weights, fixed, bint joint, double least, int most, double goal=0.0):
        with single_threaded_blas() if needs_blas(self.d) else nullcontext():
            return Moving.maps(self, X, weights, fixed, joint, least, most, goal)

    cdef Py_ssize_t sums_scratch(self) noexcept nogil:
        return (self.components * self.record_size + (self.components + 1) * FK_BLOCK
                + max(squares_scratch(self.d), moments_scratch(self.d)))

    cdef double sums(self, const double *x, const double *w, Py_ssize_t n, double *scratch, double *records) noexcept nogil:
        cdef Py_ssize_t size = self.components * self.record_size, start = 0, k
        cdef double total = 0.0
        memset(records, 0, size * sizeof(double))
        while start < n:
            total += self.block_expectation(
                x + start * self.d, w + start if w != NULL else NULL, min(FK_BLOCK, n - start), scratch + size, scratch
            )
            for k in range(self.components):
                merge_records(records + k * self.record_size, scratch + k * self.record_size, self.d)
            start += FK_BLOCK
        return total

    cdef bint move(self, double *records, const double *fixed, bint joint, double *place) noexcept nogil:
        cdef Py_ssize_t components = self.components, d = self.d, k
        cdef double *means = place + components
        cdef double *lowers = means + components * d, *covariances = lowers + components * d * d
        if fk_next_normals(records, components, d, joint, fixed, &self.ridge[0, 0] if self.ridge is not None else NULL,
                           self.fewest, place, &self.constants[0], means, covariances, lowers) < components:
            return False
        memcpy(&self.means[0, 0], means, components * d * sizeof(double))
        memcpy(&self.triangles[0, 0, 0], lowers, components * d * d * sizeof(double))
        for k in range(components):
            to_triangle(&self.triangles[k, 0, 0], d)
        return True

    cdef tuple parts(self, place):
        k, d = self.components, self.d
        weights, means, lowers, covariances = np.split(place, np.cumsum([k, k * d, k * d * d]))
        return weights, means.reshape(k, d), lowers.reshape(k, d, d), covariances.reshape(k, d, d)


cdef class DiagonalNormals(Moving):
    """Normal components by log-weights with the constants of the densities (k,), means and 1 / standard deviations (k, d)."""

    cdef double[::1] constants
    cdef double[:, ::1] means, inverse, deviations

    def __init__(self, constants, means, inverse):
        self.constants, self.means = np.array(constants, dtype=np.float64), np.array(means, dtype=np.float64, order="C")
        self.inverse = np.array(inverse, dtype=np.float64, order="C")
        self.deviations = 1.0 / np.asarray(self.inverse)
        self.components, self.d = self.means.shape[0], self.means.shape[1]
        self.record_size, self.place_size = 1 + 2 * self.d, self.components * (1 + 2 * self.d)

    cdef Py_ssize_t scratch_size(self) noexcept nogil:
        return FK_MIXTURE_ROWS * (self.d + self.components)

    def evidence(self, const real[:, ::1] X, int n_threads):
        """Log-density of every row under the mixture, (n,)."""
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, b, done = 0, stop
        cdef Py_ssize_t wave = first_wave(n_threads)
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double began
        out = np.empty(n)
        cdef double[::1] view = out
        cdef double[:, ::1] scratch = np.empty((n_threads, self.scratch_size()))
        while done < n_blocks:
            began, stop = perf_counter(), min(n_blocks, done + wave)
            for b in prange(done, stop, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                self.block(
                    &X[b * FK_BLOCK, 0], NULL, min(FK_BLOCK, n - b * FK_BLOCK), NULL, &scratch[threadid(), 0],
                    &view[b * FK_BLOCK], NULL,
                )
            done, wave = stop, next_wave(wave, began, n_threads)
        return out

    def expectation(self, const real[:, ::1] X, const double[::1] weights, const double[:, ::1] centres, int n_threads):
        """Total log-likelihood, and the sums of weights, of weight * z and of weight * z^2 of each component: (k, 1 + 2 d).

        z is the distance from the component's row of ``centres`` in its standard deviations.
        """
        cdef Py_ssize_t n = X.shape[0], n_blocks = (n + FK_BLOCK - 1) // FK_BLOCK, wave, start, blocks, b, i
        cdef Py_ssize_t length = self.components * (1 + 2 * self.d)
        cdef const double *w = &weights[0] if weights is not None else NULL
        cdef bint in_threads = n_threads > 1 and n_blocks > 1
        cdef double total = 0.0
        wave = min(n_blocks, max(2 * n_threads, min(32, FK_WAVE_NUMBERS // length)))
        records_array = np.zeros((self.components, 1 + 2 * self.d))
        cdef double[:, ::1] records = records_array, partial = np.empty((wave, length))
        cdef double *merged = &records[0, 0]
        cdef double[::1] totals = np.empty(wave)
        cdef double[:, ::1] scratch = np.empty((n_threads, self.scratch_size() + FK_BLOCK))
        for start in range(0, n_blocks, wave):
            PyErr_CheckSignals()
            blocks = min(wave, n_blocks - start)
            for b in prange(blocks, nogil=True, schedule="dynamic", num_threads=n_threads, use_threads_if=in_threads):
                totals[b] = self.block(
                    &X[(start + b) * FK_BLOCK, 0], w + (start + b) * FK_BLOCK if w != NULL else NULL,
                    min(FK_BLOCK, n - (start + b) * FK_BLOCK), &centres[0, 0], &scratch[threadid(), FK_BLOCK],
                    &scratch[threadid(), 0], &partial[b, 0],
                )
            for b in range(blocks):
                total += totals[b]
                for i in range(length):
                    merged[i] += partial[b, i]
        return total, records_array

    cdef Py_ssize_t sums_scratch(self) noexcept nogil:
        return self.components * self.record_size + FK_BLOCK + self.scratch_size()

    cdef double sums(self, const double *x, const double *w, Py_ssize_t n, double *scratch, double *records) noexcept nogil:
        cdef Py_ssize_t size = self.components * self.record_size, start = 0, i
        cdef double total = 0.0
        memset(records, 0, size * sizeof(double))
        while start < n:
            total += self.block(
                x + start * self.d, w + start if w != NULL else NULL, min(FK_BLOCK, n - start), &self.means[0, 0],
                scratch + size + FK_BLOCK, scratch + size, scratch,
            )
            for i in range(size):
                records[i] += scratch[i]
            start += FK_BLOCK
        return total

    cdef bint move(self, double *records, const double *fixed, bint joint, double *place) noexcept nogil:
        cdef Py_ssize_t components = self.components, size = components * self.d
        if fk_next_diagonals(records, components, self.d, joint, fixed, place, &self.constants[0], &self.means[0, 0],
                             &self.deviations[0, 0], &self.inverse[0, 0]) < components:
            return False
        memcpy(place + components, &self.means[0, 0], size * sizeof(double))
        memcpy(place + components + size, &self.deviations[0, 0], size * sizeof(double))
        return True

    cdef tuple parts(self, place):
        k, d = self.components, self.d
        return place[:k], place[k:k + k * d].reshape(k, d), place[k + k * d:].reshape(k, d)

    cdef double block(
        self, const real *x, const double *w, Py_ssize_t n, const double *centres, double *tile, double *evidence,
        double *records
    ) noexcept nogil:
        """Log-sums of a block; where there are records, its log-likelihood and sums too."""
        cdef Py_ssize_t d = self.d, components = self.components, at = 0, rows, i
        cdef double *logs = tile + FK_MIXTURE_ROWS * d
        if records != NULL:
            for i in range(components * (1 + 2 * d)):
                records[i] = 0.0
        while at < n:
            rows = min(FK_MIXTURE_ROWS, n - at)
            if real is double:
                fk_columns_f64(x + at * d, rows, d, tile)
            else:
                fk_columns_f32(x + at * d, rows, d, tile)
            fk_diagonal_logs(
                tile, rows, d, components, &self.constants[0], &self.means[0, 0], &self.inverse[0, 0], logs
            )
            fk_log_sum_exp(logs, rows, components, FK_MIXTURE_ROWS, records != NULL, evidence + at)
            if records != NULL:
                if w != NULL:
                    fk_weigh(logs, rows, components, FK_MIXTURE_ROWS, w + at)
                fk_diagonal_sums(tile, logs, rows, d, components, centres, &self.inverse[0, 0], records)
            at += rows
        return 0.0 if records == NULL else fk_weighted_sum(evidence, w, n)
