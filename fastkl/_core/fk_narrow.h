/* Weight, mean and scatter matrix of rows of few columns, without a call of BLAS: its rank-k update is made for wide rows.
 *
 * Rows are taken in tiles that fit the first cache, column by column; each tile is centred at its own mean (summed about its
 * first row, so that an offset costs no digits) and merged into the record by Chan's formula. Products are summed in sixteen
 * parts, for four columns at a time: all sums stay in registers, and few wait for each other. Rows of weight 0 are left out; a
 * record without rows is all 0.
 */
#ifndef FK_NARROW_H
#define FK_NARROW_H

#include "fk_all_columns.h"
#include "fk_present.h"
#include "fk_scatter.h"

#define FK_NARROW 8                  /* columns at most: BLAS is as fast from 10 on */
#define FK_NARROW_ROWS 512           /* of a tile: a multiple of FK_PARTS */
#define FK_PARTS 16
#define FK_NARROW_SCRATCH ((FK_NARROW + 1) * FK_NARROW_ROWS)
#define FK_NARROW_RECORD (1 + FK_NARROW + FK_NARROW * FK_NARROW)

/* Sum of (w) (x - origin) over a column of a tile. */
FK_INLINE double fk_tile_sum(const double *FK_RESTRICT x, const double *FK_RESTRICT w, double origin) {
    double part[4 * FK_PARTS] = {0.0}, sum = 0.0;
    for (ptrdiff_t i = 0; i < FK_NARROW_ROWS; i += 4 * FK_PARTS)
        FK_SIMD
        for (int l = 0; l < 4 * FK_PARTS; l++) part[l] += w ? w[i + l] * (x[i + l] - origin) : x[i + l] - origin;
    for (int l = 0; l < 4 * FK_PARTS; l++) sum += part[l];
    return sum;
}

/* scatter[j][k] = sum (w) c_j c_k for `count` columns c_k from `other` on. */
FK_INLINE void fk_tile_products(const double *FK_RESTRICT own, const double *FK_RESTRICT other, const double *FK_RESTRICT w,
                                int count, double *FK_RESTRICT out) {
    double part[4][FK_PARTS] = {{0.0}};
    for (ptrdiff_t i = 0; i < FK_NARROW_ROWS; i += FK_PARTS)
        for (int k = 0; k < count; k++)
            FK_SIMD
            for (int l = 0; l < FK_PARTS; l++)
                part[k][l] += (w ? w[i + l] * own[i + l] : own[i + l]) * other[k * FK_NARROW_ROWS + i + l];
    for (int k = 0; k < count; k++)
        for (int l = 0; l < FK_PARTS; l++) out[k] += part[k][l];
}

FK_INLINE void fk_tile_moments(double *FK_RESTRICT columns, const double *FK_RESTRICT w, ptrdiff_t n, ptrdiff_t d,
                               double *FK_RESTRICT record) {
    double weight = w ? 0.0 : (double)n, *mean = record + 1, *scatter = record + 1 + d;
    if (w) FK_SIMD_SUM(weight) for (ptrdiff_t i = 0; i < FK_NARROW_ROWS; i++) weight += w[i];
    for (ptrdiff_t j = 0; j < d; j++) {
        double *x = columns + j * FK_NARROW_ROWS, centre = x[0];
        for (ptrdiff_t i = n; i < FK_NARROW_ROWS; i++) x[i] = centre;
        centre += fk_tile_sum(x, w, centre) / weight;
        FK_SIMD for (ptrdiff_t i = 0; i < FK_NARROW_ROWS; i++) x[i] -= centre;
        for (ptrdiff_t i = n; i < FK_NARROW_ROWS; i++) x[i] = 0.0;
        mean[j] = centre;
    }
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *own = columns + j * FK_NARROW_ROWS;
        for (ptrdiff_t k = j; k < d; k += 4) {
            const double *other = columns + k * FK_NARROW_ROWS;
            double sums[4] = {0.0};
            switch (d - k) {
                case 1: fk_tile_products(own, other, w, 1, sums); break;
                case 2: fk_tile_products(own, other, w, 2, sums); break;
                case 3: fk_tile_products(own, other, w, 3, sums); break;
                default: fk_tile_products(own, other, w, 4, sums);
            }
            for (ptrdiff_t c = 0; c < 4 && k + c < d; c++) scatter[j * d + k + c] = scatter[(k + c) * d + j] = sums[c];
        }
    }
    record[0] = weight;
}

/* The rows of a tile whose weight is not 0, moved together with their weights, and how many; the rest of the weights is 0. */
static ptrdiff_t fk_tile_present(double *columns, const double *w, ptrdiff_t n, ptrdiff_t d, double *padded) {
    const ptrdiff_t kept = fk_count_present(w, n);
    if (kept == n && n == FK_NARROW_ROWS) return kept;
    if (kept < n)
        for (ptrdiff_t j = 0; j < d; j++) fk_keep_present(columns + j * FK_NARROW_ROWS, w, n, columns + j * FK_NARROW_ROWS);
    fk_keep_present(w, w, n, padded);
    for (ptrdiff_t i = kept; i < FK_NARROW_ROWS; i++) padded[i] = 0.0;
    return kept;
}

/* Missing weights of a tile are 0. */
static FK_CLONES void fk_tile_record(double *FK_RESTRICT columns, const double *FK_RESTRICT w, ptrdiff_t n, ptrdiff_t d,
                                     double *FK_RESTRICT record) {
    if (w) fk_tile_moments(columns, w, n, d, record);
    else fk_tile_moments(columns, NULL, n, d, record);
}

/* record = [weight, mean (d), scatter (d, d)] of n rows; d <= FK_NARROW, and scratch holds FK_NARROW_SCRATCH numbers. */
#define FK_DEFINE_NARROW(real, suffix)                                                                                      \
    static void fk_narrow_moments_##suffix(const real *x, const double *w, ptrdiff_t n, ptrdiff_t d, double *scratch,       \
                                           double *record) {                                                                \
        double tile[FK_NARROW_RECORD], *padded = scratch + FK_NARROW * FK_NARROW_ROWS;                                      \
        memset(record, 0, (size_t)(1 + d + d * d) * sizeof(double));                                                        \
        for (ptrdiff_t start = 0; start < n; start += FK_NARROW_ROWS) {                                                     \
            ptrdiff_t rows = n - start < FK_NARROW_ROWS ? n - start : FK_NARROW_ROWS, kept = rows;                          \
            const double *weights = w ? w + start : NULL;                                                                   \
            fk_all_columns_##suffix(x + start * d, rows, d, FK_NARROW_ROWS, scratch);                                       \
            for (ptrdiff_t i = 0; i < FK_NARROW_ROWS * d; i += 64 / (ptrdiff_t)sizeof(real))                                \
                FK_PREFETCH(x + (start + FK_NARROW_ROWS) * d + i);                                                          \
            if (w) {                                                                                                        \
                kept = fk_tile_present(scratch, weights, rows, d, padded);                                                  \
                if (kept == 0) continue;                                                                                    \
                if (kept < FK_NARROW_ROWS) weights = padded;                                                                \
            }                                                                                                               \
            if (record[0] == 0.0) {                                                                                         \
                fk_tile_record(scratch, weights, kept, d, record);                                                          \
                continue;                                                                                                   \
            }                                                                                                               \
            fk_tile_record(scratch, weights, kept, d, tile);                                                                \
            fk_merge_scatter(d, record, record + 1, record + 1 + d, tile[0], tile + 1, tile + 1 + d);                       \
        }                                                                                                                   \
    }
FK_DEFINE_NARROW(double, f64)
FK_DEFINE_NARROW(float, f32)

#endif
