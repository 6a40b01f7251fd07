/* Rows of a block about a point, as float64 and multiplied by the square root of their weight: what a rank-k update then sums.
 * Rows of weight 0 count as absent, whatever values they hold. */
#ifndef FK_SCATTER_H
#define FK_SCATTER_H

#include "fk_config.h"
#include <math.h>
#include <string.h>

#define FK_DEFINE_SCATTER(real, suffix)                                                                                  \
    /* sum[j] += w (x_j - origin_j) and *weight += w; without weights every row counts 1 */                              \
    static FK_CLONES void fk_sum_rows_##suffix(const real *FK_RESTRICT x, const double *FK_RESTRICT w, ptrdiff_t n,      \
                                               ptrdiff_t d, const double *FK_RESTRICT origin, double *FK_RESTRICT sum,   \
                                               double *weight) {                                                         \
        double total = 0.0;                                                                                              \
        if (w) {                                                                                                         \
            for (ptrdiff_t i = 0; i < n; i++) {                                                                          \
                if (w[i] == 0.0) continue;                                                                               \
                total += w[i];                                                                                           \
                FK_SIMD for (ptrdiff_t j = 0; j < d; j++) sum[j] += w[i] * (x[i * d + j] - origin[j]);                   \
            }                                                                                                            \
        } else {                                                                                                         \
            for (ptrdiff_t i = 0; i < n; i++) FK_SIMD for (ptrdiff_t j = 0; j < d; j++) sum[j] += x[i * d + j] - origin[j]; \
            total = (double)n;                                                                                           \
        }                                                                                                                \
        *weight += total;                                                                                                \
    }                                                                                                                    \
    /* how many rows were written */                                                                                    \
    static FK_CLONES ptrdiff_t fk_centre_rows_##suffix(const real *FK_RESTRICT x, const double *FK_RESTRICT w,           \
                                                       ptrdiff_t n, ptrdiff_t d, const double *FK_RESTRICT mean,         \
                                                       double *FK_RESTRICT out) {                                        \
        ptrdiff_t kept = 0;                                                                                              \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                              \
            double root = w ? sqrt(w[i]) : 1.0;                                                                          \
            if (root == 0.0) continue;                                                                                   \
            FK_SIMD for (ptrdiff_t j = 0; j < d; j++) out[kept * d + j] = root * (x[i * d + j] - mean[j]);               \
            kept++;                                                                                                      \
        }                                                                                                                \
        return kept;                                                                                                     \
    }
FK_DEFINE_SCATTER(double, f64)
FK_DEFINE_SCATTER(float, f32)

/* Statistics of two sets of rows together: weight, mean (d), scatter (d x d), by Chan's formula. Either may be empty. */
static void fk_merge_scatter(ptrdiff_t d, double *weight, double *mean, double *scatter, double other_weight,
                             const double *other_mean, const double *other_scatter) {
    if (other_weight == 0.0) return;
    if (*weight == 0.0) {
        memcpy(mean, other_mean, (size_t)d * sizeof(double));
        memcpy(scatter, other_scatter, (size_t)(d * d) * sizeof(double));
        *weight = other_weight;
        return;
    }
    double total = *weight + other_weight, share = other_weight / total, common = *weight * share;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++) {
            double between = common * (other_mean[i] - mean[i]) * (other_mean[j] - mean[j]);
            scatter[i * d + j] = scatter[j * d + i] = scatter[i * d + j] + other_scatter[i * d + j] + between;
        }
    for (ptrdiff_t j = 0; j < d; j++) mean[j] += (other_mean[j] - mean[j]) * share;
    *weight = total;
}

#endif
