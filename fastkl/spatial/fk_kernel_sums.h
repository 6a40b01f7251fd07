/* Kernel sums: for each query x the logarithm of sum_j w_j k(|x - y_j|) over references y_j, and moments of its terms.
 *
 * Coordinates are in units of the bandwidth. References lie in tiles of FK_KERNEL_TILE rows, feature-major, padded with rows
 * of weight 0; queries come in chunks of FK_KERNEL_CHUNK. A tile meets all queries of a chunk while it is in the cache, four of
 * them at a time in registers, and nothing of size n x m is stored. Differences are formed directly, so that no offset harms.
 *
 * Kernels without an end are summed relative to the largest term so far (log-sum-exp): however far out, a sum has a logarithm.
 *
 * With error > 0 a chunk meets the tiles in the order of the distance between their boxes, and stops when all that is left,
 * at the distance of the next box, is at most error / 2 of every sum. A tile whose largest term, times its weight, is at most
 * error / (2 n_tiles) of the sum so far is left out. Sums only grow, so that both together are at most `error` of the sum.
 * With error = 0 every term is added. A chunk is worked on by one thread, in an order that depends on nothing else.
 */
#ifndef FK_KERNEL_SUMS_H
#define FK_KERNEL_SUMS_H

#include "fk_math.h"
#include "fk_sine.h"
#include <stdlib.h>

#define FK_KERNEL_TILE 128
#define FK_KERNEL_CHUNK 64
#define FK_KERNEL_GROUP 4
#define FK_KERNEL_STEP 8 /* rows of a tile against a group of queries in registers */
#define FK_KERNEL_PART 16 /* rows of a tile that is nearly empty */

enum { FK_GAUSSIAN, FK_EXPONENTIAL, FK_EPANECHNIKOV, FK_TOPHAT, FK_LINEAR, FK_COSINE };
enum { FK_NO_MOMENTS, FK_FIRST_MOMENTS, FK_SECOND_MOMENTS };

typedef struct {
    int profile, moments;
    ptrdiff_t m, d, n_tiles, n_queries;
    const double *tiles, *weights, *narrow; /* narrow: factors of squared distances, or NULL for ones */
    const double *low, *high, *tile_weight, *tile_narrow;
    const double *queries;
    const ptrdiff_t *position; /* of the reference that each query is, and is without; NULL where queries are none */
    double error;
    double *log_sums, *moment_sums;
} fk_kernel_job;

typedef struct {
    double distance, left; /* left: weight of this tile and all that come after it */
    ptrdiff_t tile;
} fk_kernel_near;

static int fk_kernel_nearer(const void *a, const void *b) {
    const fk_kernel_near *p = (const fk_kernel_near *)a, *q = (const fk_kernel_near *)b;
    if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
    return p->tile < q->tile ? -1 : p->tile > q->tile;
}

/* sin(pi t / 2) for t in [0, 1], to rounding relative to its value. */
FK_INLINE double fk_sin_quarter(double t) { return fk_sin_near_zero(1.57079632679489661923 * t); }

/* Logarithm of a kernel at a squared distance: an upper bound at all that is farther. */
static double fk_kernel_log_bound(int profile, double square) {
    double r = sqrt(square);
    switch (profile) {
    case FK_GAUSSIAN: return -0.5 * square;
    case FK_EXPONENTIAL: return -r;
    case FK_EPANECHNIKOV: return square < 1.0 ? log1p(-square) : -INFINITY;
    case FK_TOPHAT: return square < 1.0 ? 0.0 : -INFINITY;
    case FK_LINEAR: return r < 1.0 ? log1p(-r) : -INFINITY;
    default: return r < 1.0 ? log(fk_sin_quarter(1.0 - r)) : -INFINITY;
    }
}

/* Squared distances of a group of queries, (FK_KERNEL_GROUP, d), to the first rows of a tile, or of what is left of it. */
FK_INLINE void fk_kernel_squares(int rows, const double *FK_RESTRICT tile, const double *FK_RESTRICT x, ptrdiff_t d,
                                 double *FK_RESTRICT square) {
    for (ptrdiff_t r = 0; r < rows; r += FK_KERNEL_STEP) {
        double a[FK_KERNEL_STEP] = {0.0}, b[FK_KERNEL_STEP] = {0.0}, c[FK_KERNEL_STEP] = {0.0}, e[FK_KERNEL_STEP] = {0.0};
        for (ptrdiff_t j = 0; j < d; j++) {
            const double *y = tile + j * FK_KERNEL_TILE + r;
            double xa = x[j], xb = x[d + j], xc = x[2 * d + j], xe = x[3 * d + j];
            FK_SIMD
            for (int l = 0; l < FK_KERNEL_STEP; l++) {
                double da = y[l] - xa, db = y[l] - xb, dc = y[l] - xc, de = y[l] - xe;
                a[l] += da * da;
                b[l] += db * db;
                c[l] += dc * dc;
                e[l] += de * de;
            }
        }
        FK_SIMD
        for (int l = 0; l < FK_KERNEL_STEP; l++) {
            square[r + l] = a[l];
            square[FK_KERNEL_TILE + r + l] = b[l];
            square[2 * FK_KERNEL_TILE + r + l] = c[l];
            square[3 * FK_KERNEL_TILE + r + l] = e[l];
        }
    }
}

/* The least of the squared distances. */
FK_INLINE double fk_kernel_nearest(int rows, const double *FK_RESTRICT s) {
    double low = INFINITY;
    FK_PRAGMA(omp simd reduction(min : low))
    for (int l = 0; l < rows; l++) low = s[l] < low ? s[l] : low;
    return low;
}

/* exp(x) of a term beside the largest, for which x is 0: x <= 700, and 1e-304 below -700. On [-ln 2 / 2, ln 2 / 2] it is
 * 1 + r + r^2 q(r) with q the polynomial of degree 8 of least largest relative error (2.9e-16, by Lawson's weights). One
 * constant for ln 2 leaves a relative error of |x| roundings, which a term of e^x makes nothing of; it takes a bit more than
 * half the time of fk_exp_regular. */
FK_INLINE double fk_kernel_exp(double x) {
    double clamped = x < -700.0 ? -700.0 : x, shifted = clamped * 1.44269504088896338700e+00 + 0x1.8p52;
    double r = clamped - (shifted - 0x1.8p52) * 6.93147180559945309417e-01, p = 2.7476786528704484599e-07;
    p = p * r + 2.7634992440051899257e-06;
    p = p * r + 2.4801931755626858653e-05;
    p = p * r + 1.9841185231917022382e-04;
    p = p * r + 1.3888888516179502051e-03;
    p = p * r + 8.3333333708736210143e-03;
    p = p * r + 4.1666666668136724461e-02;
    p = p * r + 1.6666666666611546054e-01;
    p = p * r + 4.9999999999998323908e-01;
    p = 1.0 + (r + r * r * p);
    return fk_double(fk_bits(p) + (fk_bits(shifted) << 52)); /* the exponent's bits alone: p is near 1, nothing carries */
}

/* Weighted terms exp(scale * s - from) in `term`; returns their sum. */
FK_INLINE double fk_kernel_terms(int rows, const double *FK_RESTRICT s, double scale, double from, const double *FK_RESTRICT w,
                                 double *FK_RESTRICT term) {
    double sum = 0.0;
    FK_SIMD_SUM(sum)
    for (int l = 0; l < rows; l++) sum += term[l] = w[l] * fk_kernel_exp(scale * s[l] - from);
    return sum;
}

/* A lower bound of log(x), at most ln 2 below it, for x > 0: that of its power of two. */
FK_INLINE double fk_kernel_log_below(double x) {
    return ((double)(int64_t)(fk_bits(x) >> 52) - 1023.0) * 6.93147180559945286e-01;
}

/* Weighted terms of a kernel with an end, from squared distances, and w (-k'(r) / r) in `slope`; returns their sum. */
FK_INLINE double fk_kernel_compact(int rows, int profile, const double *FK_RESTRICT s, const double *FK_RESTRICT w,
                                   double *FK_RESTRICT slope) {
    double sum = 0.0;
    if (profile == FK_EPANECHNIKOV) {
        FK_SIMD_SUM(sum)
        for (int l = 0; l < rows; l++) {
            sum += s[l] < 1.0 ? w[l] * (1.0 - s[l]) : 0.0;
            slope[l] = s[l] < 1.0 ? 2.0 * w[l] : 0.0;
        }
    } else if (profile == FK_TOPHAT) {
        FK_SIMD_SUM(sum)
        for (int l = 0; l < rows; l++) {
            sum += s[l] < 1.0 ? w[l] : 0.0;
            slope[l] = 0.0;
        }
    } else if (profile == FK_LINEAR) {
        FK_SIMD_SUM(sum)
        for (int l = 0; l < rows; l++) {
            double r = sqrt(s[l]);
            sum += r < 1.0 ? w[l] * (1.0 - r) : 0.0;
            slope[l] = (r < 1.0) & (r > 0.0) ? w[l] / r : 0.0;
        }
    } else {
        FK_SIMD_SUM(sum)
        for (int l = 0; l < rows; l++) {
            double r = sqrt(s[l]), within = r < 1.0 ? r : 1.0;
            sum += r < 1.0 ? w[l] * fk_sin_quarter(1.0 - within) : 0.0;
            slope[l] = (r < 1.0) & (r > 0.0) ? w[l] * 1.57079632679489661923 * fk_sin_quarter(within) / r : 0.0;
        }
    }
    return sum;
}

/* Adds rows of a tile, from `first` on, to the sums of a group of queries. `high` is the exponent that sums are relative to, 0
 * for kernels with an end; `skip` the logarithm of the share of a sum below which these rows are left out. */
FK_INLINE void fk_kernel_rows(int rows, ptrdiff_t first, const fk_kernel_job *job, ptrdiff_t tile,
                              const double *FK_RESTRICT x, int used, const ptrdiff_t *position, double skip,
                              double *FK_RESTRICT high, double *FK_RESTRICT sum, double *FK_RESTRICT moment) {
    double square[FK_KERNEL_GROUP * FK_KERNEL_TILE], term[FK_KERNEL_TILE];
    const ptrdiff_t d = job->d;
    const int profile = job->profile;
    const ptrdiff_t start = tile * FK_KERNEL_TILE + first;
    const double *y = job->tiles + tile * d * FK_KERNEL_TILE + first, *w = job->weights + start;
    fk_kernel_squares(rows, y, x, d, square);
    for (int q = 0; q < used; q++) {
        double *s = square + q * FK_KERNEL_TILE, *of_moment = moment + q * d;
        const double *at = x + q * d;
        if (job->narrow) {
            const double *narrow = job->narrow + start;
            FK_SIMD
            for (int l = 0; l < rows; l++) s[l] *= narrow[l];
        }
        const ptrdiff_t own = position ? position[q] - start : -1;
        if (own >= 0 && own < rows) { /* without itself, and without the padding, which may be a copy of it */
            s[own] = INFINITY;
            for (ptrdiff_t l = job->m - start; l < rows; l++) s[l] = INFINITY;
        }
        if (profile <= FK_EXPONENTIAL) {
            double scale = -0.5;
            if (profile == FK_EXPONENTIAL) {
                scale = -1.0;
                FK_SIMD
                for (int l = 0; l < rows; l++) s[l] = sqrt(s[l]);
            }
            double most = scale * fk_kernel_nearest(rows, s);
            if (!(most > -INFINITY) || most - high[q] <= skip + fk_kernel_log_below(sum[q])) continue;
            if (most > high[q]) {
                double factor = exp(high[q] - most);
                high[q] = most;
                sum[q] *= factor;
                for (ptrdiff_t j = 0; j < d && job->moments; j++) of_moment[j] *= factor;
            }
            sum[q] += fk_kernel_terms(rows, s, scale, high[q], w, term);
            if (profile == FK_EXPONENTIAL && job->moments)
                FK_SIMD for (int l = 0; l < rows; l++) term[l] = s[l] > 0.0 ? term[l] / s[l] : 0.0;
        } else {
            sum[q] += fk_kernel_compact(rows, profile, s, w, term);
        }
        if (!job->moments) continue;
        if (job->narrow) {
            const double *narrow = job->narrow + start;
            FK_SIMD
            for (int l = 0; l < rows; l++) term[l] *= narrow[l];
        }
        for (ptrdiff_t j = 0; j < d; j++) {
            const double *of_column = y + j * FK_KERNEL_TILE;
            double added = 0.0, xj = at[j];
            if (job->moments == FK_FIRST_MOMENTS) {
                FK_SIMD_SUM(added)
                for (int l = 0; l < rows; l++) added += term[l] * (of_column[l] - xj);
            } else {
                FK_SIMD_SUM(added)
                for (int l = 0; l < rows; l++) added += term[l] * (of_column[l] - xj) * (of_column[l] - xj);
            }
            of_moment[j] += added;
        }
    }
}

/* Adds a tile, of a few rows in parts, none of which is left out: groups of labels have tiles that are nearly empty. */
static FK_CLONES void fk_kernel_group(const fk_kernel_job *job, ptrdiff_t tile, const double *FK_RESTRICT x, int used,
                                      const ptrdiff_t *position, double skip, double *FK_RESTRICT high, double *FK_RESTRICT sum,
                                      double *FK_RESTRICT moment) {
    const ptrdiff_t rows = job->m - tile * FK_KERNEL_TILE;
    if (rows > FK_KERNEL_TILE / 2) {
        fk_kernel_rows(FK_KERNEL_TILE, 0, job, tile, x, used, position, skip, high, sum, moment);
    } else {
        for (ptrdiff_t first = 0; first < rows; first += FK_KERNEL_PART)
            fk_kernel_rows(FK_KERNEL_PART, first, job, tile, x, used, position, -INFINITY, high, sum, moment);
    }
}

/* Squared distance between the box of a chunk's queries and that of a tile, times the least factor of the tile's rows. */
static double fk_kernel_gap(const fk_kernel_job *job, ptrdiff_t tile, const double *low, const double *high) {
    const double *tile_low = job->low + tile * job->d, *tile_high = job->high + tile * job->d;
    double sum = 0.0;
    for (ptrdiff_t j = 0; j < job->d; j++) {
        double below = tile_low[j] - high[j], above = low[j] - tile_high[j], gap = below > above ? below : above;
        gap = gap > 0.0 ? gap : 0.0;
        sum += gap * gap;
    }
    return sum * (1.0 - 0x1p-40) * (job->tile_narrow ? job->tile_narrow[tile] : 1.0);
}

/* The tiles in the order in which a chunk meets them. */
static void fk_kernel_order(const fk_kernel_job *job, ptrdiff_t first, ptrdiff_t n, double *box, fk_kernel_near *near) {
    const ptrdiff_t d = job->d;
    double left = 0.0, *low = box, *high = box + d;
    for (ptrdiff_t j = 0; j < d; j++) {
        low[j] = INFINITY, high[j] = -INFINITY;
        for (ptrdiff_t i = first; i < first + n; i++) {
            double x = job->queries[i * d + j];
            low[j] = x < low[j] ? x : low[j];
            high[j] = x > high[j] ? x : high[j];
        }
    }
    for (ptrdiff_t t = 0; t < job->n_tiles; t++) {
        near[t].tile = t;
        near[t].distance = job->error > 0.0 ? fk_kernel_gap(job, t, low, high) : 0.0;
    }
    if (job->error > 0.0) qsort(near, (size_t)job->n_tiles, sizeof *near, fk_kernel_nearer);
    for (ptrdiff_t t = job->n_tiles - 1; t >= 0; t--) near[t].left = left += job->tile_weight[near[t].tile];
}

/* Whether what is left, of this weight and at least so far away, is at most error / 2 of the sum of every query. */
static int fk_kernel_done(const fk_kernel_job *job, const fk_kernel_near *next, ptrdiff_t n, const double *high,
                          const double *sum) {
    double left = fk_kernel_log_bound(job->profile, next->distance);
    if (left == -INFINITY) return 1;
    left += log(next->left) - log(0.5 * job->error);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(left <= high[i] + log(sum[i]))) return 0;
    return 1;
}

static ptrdiff_t fk_kernel_scratch(const fk_kernel_job *job) {
    return (ptrdiff_t)(sizeof(fk_kernel_near) / sizeof(double)) * job->n_tiles + 2 * job->d +
           (2 * job->d + 2) * FK_KERNEL_CHUNK;
}

/* All of a chunk: queries FK_KERNEL_CHUNK * chunk and those that follow. */
static void fk_kernel_chunk(const fk_kernel_job *job, ptrdiff_t chunk, double *scratch) {
    const ptrdiff_t d = job->d, first = chunk * FK_KERNEL_CHUNK;
    const ptrdiff_t n = job->n_queries - first < FK_KERNEL_CHUNK ? job->n_queries - first : FK_KERNEL_CHUNK;
    fk_kernel_near *near = (fk_kernel_near *)scratch;
    double *box = (double *)(near + job->n_tiles), *x = box + 2 * d, *moment = x + d * FK_KERNEL_CHUNK;
    double *high = moment + d * FK_KERNEL_CHUNK, *sum = high + FK_KERNEL_CHUNK;
    fk_kernel_order(job, first, n, box, near);
    double skip = job->error > 0.0 ? log(0.5 * job->error / (double)job->n_tiles) : -INFINITY;
    for (ptrdiff_t i = 0; i < FK_KERNEL_CHUNK; i++) {
        memcpy(x + i * d, job->queries + (first + (i < n ? i : n - 1)) * d, (size_t)d * sizeof(double));
        for (ptrdiff_t j = 0; j < d; j++) moment[i * d + j] = 0.0;
        high[i] = job->profile <= FK_EXPONENTIAL ? -INFINITY : 0.0;
        sum[i] = 0.0;
    }
    for (ptrdiff_t t = 0; t < job->n_tiles; t++) {
        const ptrdiff_t tile = near[t].tile;
        if (job->error > 0.0 && fk_kernel_done(job, near + t, n, high, sum)) break;
        for (ptrdiff_t i = 0; i < n; i += FK_KERNEL_GROUP) {
            const ptrdiff_t *position = job->position ? job->position + first + i : NULL;
            int used = (int)(n - i < FK_KERNEL_GROUP ? n - i : FK_KERNEL_GROUP);
            fk_kernel_group(job, tile, x + i * d, used, position, skip - log(job->tile_weight[tile]), high + i, sum + i,
                            moment + i * d);
        }
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        job->log_sums[first + i] = sum[i] > 0.0 ? high[i] + log(sum[i]) : -INFINITY;
        for (ptrdiff_t j = 0; j < d && job->moments; j++)
            job->moment_sums[(first + i) * d + j] = sum[i] > 0.0 ? moment[i * d + j] / sum[i] : 0.0;
    }
}

#endif
