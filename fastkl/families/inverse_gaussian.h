/* Inverse Gaussian distribution: log p(x) = log(shape / 2 pi) / 2 - 3/2 log x - shape (x - mean)^2 / (2 mean^2 x) on x
 * > 0. Statistics: weight, mean, the mean logarithm, and mean(1/x) - 1/mean as the mean of (x / mean - 1)^2 / x, whose
 * terms are all >= 0. */
#ifndef FK_FAMILY_INVERSE_GAUSSIAN_H
#define FK_FAMILY_INVERSE_GAUSSIAN_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include "fk_means.h"
#include "fk_sum_log.h"

enum { IG_WEIGHT, IG_MEAN, IG_LOG, IG_EXCESS, IG_STATISTICS };
enum { IG_MEAN_PARAMETER, IG_INVERSE_MEAN, IG_HALF_SHAPE, IG_NORMALISER, IG_CONSTANTS };

FK_INLINE void inverse_gaussian_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double mean = fk_corrected_mean_body(x, w, n, record), inverse = 1.0 / mean, excess = 0.0;
    FK_SIMD_SUM(excess) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, u = (x[i] - mean) * inverse;
        excess += wi * (u * u / x[i]);
    }
    record[IG_MEAN] = mean;
    record[IG_LOG] = fk_sum_log_about(x, w, n, mean) / record[IG_WEIGHT];
    record[IG_EXCESS] = excess / record[IG_WEIGHT];
}

static FK_CLONES void inverse_gaussian_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) inverse_gaussian_statistics_body(x, w, n, record);
    else inverse_gaussian_statistics_body(x, NULL, n, record);
}

/* 1/m is convex: the difference of mean(1/m_part) and 1/m is share (1 - share) shift^2 / (m m_1 m_2). */
static void inverse_gaussian_merge(double *into, const double *from) {
    double share = from[IG_WEIGHT] / (into[IG_WEIGHT] + from[IG_WEIGHT]), shift = from[IG_MEAN] - into[IG_MEAN];
    double mean = into[IG_MEAN] + shift * share;
    double grown = share * (1.0 - share) * (shift / into[IG_MEAN]) * (shift / from[IG_MEAN]) / mean;
    fk_merge_means(into, from, IG_EXCESS);
    into[IG_EXCESS] += grown;
}

static FK_CLONES void inverse_gaussian_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                                   double *FK_RESTRICT out) {
    const double mean = c[IG_MEAN_PARAMETER], inverse = c[IG_INVERSE_MEAN], half = c[IG_HALF_SHAPE];
    const double normaliser = c[IG_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double u = (x[i] - mean) * inverse;
        out[i] += normaliser - 1.5 * fk_log_ratio(x[i], mean, inverse) - half * (u * (u / x[i]));
    }
}

static const fk_column_kernel fk_kernel_inverse_gaussian = {
    .name = "inverse_gaussian",
    .n_statistics = IG_STATISTICS,
    .n_constants = IG_CONSTANTS,
    .statistics = inverse_gaussian_statistics,
    .merge = inverse_gaussian_merge,
    .log_density = inverse_gaussian_log_density,
};

#endif
