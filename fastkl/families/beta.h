/* Beta distribution in its saddle-point form: with n = a + b, m = a / n and phi(u) = u - log(1 + u) >= 0
 *
 *     log p(x) = -a phi(x / m - 1) - b phi((1 - x) / (1 - m) - 1) - log x - log(1 - x)
 *                + log(a b / 2 pi n) / 2 - (delta(a) + delta(b) - delta(n)),
 *
 * delta being the error of Stirling's formula: no term of size n log n, so that shapes of 1e6 and more lose nothing. For the
 * same reason the statistics are weight, mean of x, mean of 1 - x (each with all its digits at its own end) and the sums of
 * phi(x / mean - 1) and phi((1 - x) / mean(1 - x) - 1), from which the mean logarithms follow. m comes with its rounding error
 * as a second number.
 */
#ifndef FK_FAMILY_BETA_H
#define FK_FAMILY_BETA_H

#include "fk_column.h"
#include "fk_log_phi.h"
#include "fk_log_ratio.h"
#include "fk_means.h"
#include "fk_sum_log.h"

enum { BETA_WEIGHT, BETA_MEAN, BETA_COMPLEMENT, BETA_LOW_EXCESS, BETA_HIGH_EXCESS, BETA_STATISTICS };
enum { BETA_A, BETA_B, BETA_M, BETA_M_LOW, BETA_1_M, BETA_1_M_LOW };
enum { BETA_INVERSE_M = 6, BETA_INVERSE_1_M, BETA_NORMALISER, BETA_CONSTANTS };

/* -sum log(x / mean) as the sum of phi at u = x / mean - 1, where nothing but what is of second order is left. The deviations are
 * those of near, exact where its values are: of x itself, or of 1 - x, whose deviations are those of x but for the sign. */
FK_INLINE double beta_excess(const double *x, const double *w, ptrdiff_t n, double mean, const double *near, double centre,
                             double sign, double weight) {
    const double inverse = 1.0 / mean, factor = sign * inverse;
    double sum = 0.0, left = 0.0;
    FK_SIMD_SUM(sum, left) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, u = (near[i] - centre) * factor;
        left += wi * u;
        sum += wi * fk_phi(u, fk_log_ratio(x[i], mean, inverse));
    }
    return sum - 0.5 * left * (left / weight); /* the mean is rounded, see gamma.h */
}

/* The same from products of the ratios, without weights; NaN where it is too small for that, or a ratio subnormal. */
FK_INLINE double beta_plain_excess(const double *x, ptrdiff_t n, double mean) {
    ptrdiff_t irregular;
    double sum = -fk_sum_log(x, n, 1.0 / mean, &irregular);
    return !irregular && sum >= 0.01 * (double)n ? sum : NAN;
}

/* The record of rows without weights where both excesses are so large, and whether they are: as in gamma.h they then need no
 * corrected means. */
FK_INLINE int beta_plain_statistics(const double *const *sides, ptrdiff_t n, double *record) {
    record[BETA_WEIGHT] = (double)n;
    for (int k = 0; k < 2; k++) {
        record[BETA_MEAN + k] = fk_plain_mean_body(sides[k], n);
        record[BETA_LOW_EXCESS + k] = beta_plain_excess(sides[k], n, record[BETA_MEAN + k]);
        if (isnan(record[BETA_LOW_EXCESS + k])) return 0;
    }
    return 1;
}

FK_INLINE void beta_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double y[FK_BLOCK];
    const double *sides[2] = {x, y}; /* and their means are side by side in the record, as their excesses are */
    y[0] = 1.0 - x[0];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) y[i] = 1.0 - x[i];
    if (!w && beta_plain_statistics(sides, n, record)) return;
    for (int k = 0; k < 2; k++) record[BETA_MEAN + k] = fk_corrected_mean_body(sides[k], w, n, &record[BETA_WEIGHT]);
    const int near = record[BETA_MEAN] <= record[BETA_COMPLEMENT] ? 0 : 1;
    for (int k = 0; k < 2; k++)
        record[BETA_LOW_EXCESS + k] = beta_excess(sides[k], w, n, record[BETA_MEAN + k], sides[near], record[BETA_MEAN + near],
                                                  k == near ? 1.0 : -1.0, record[BETA_WEIGHT]);
}

static FK_CLONES void beta_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) beta_statistics_body(x, w, n, record);
    else beta_statistics_body(x, NULL, n, record);
}

/* The excess of two parts about their common mean: each grows by its weight times phi(own mean / common mean - 1). */
static inline double beta_grown(double mean, double first, double second, double first_weight, double second_weight) {
    double inverse = 1.0 / mean, u = (first - mean) * inverse, v = (second - mean) * inverse;
    return first_weight * fk_phi(u, fk_log_ratio(first, mean, inverse)) +
           second_weight * fk_phi(v, fk_log_ratio(second, mean, inverse));
}

static void beta_merge(double *into, const double *from) {
    double weight = into[BETA_WEIGHT] + from[BETA_WEIGHT], share = from[BETA_WEIGHT] / weight;
    for (int k = 0; k < 2; k++) {
        double first = into[BETA_MEAN + k], second = from[BETA_MEAN + k], mean = first + (second - first) * share;
        into[BETA_LOW_EXCESS + k] +=
            from[BETA_LOW_EXCESS + k] + beta_grown(mean, first, second, into[BETA_WEIGHT], from[BETA_WEIGHT]);
        into[BETA_MEAN + k] = mean;
    }
    into[BETA_WEIGHT] = weight;
}

static FK_CLONES void beta_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                       double *FK_RESTRICT out) {
    const double a = c[BETA_A], b = c[BETA_B], m = c[BETA_M], k = c[BETA_1_M], by_m = c[BETA_INVERSE_M];
    const double by_k = c[BETA_INVERSE_1_M], m_low = c[BETA_M_LOW], k_low = c[BETA_1_M_LOW], normaliser = c[BETA_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double y = 1.0 - x[i], lost = (1.0 - y) - x[i]; /* 1 - x = y + lost exactly */
        double u = ((x[i] - m) - m_low) * by_m, v = ((y - k) + (lost - k_low)) * by_k;
        double low = fk_log_ratio(x[i], m, by_m), high = fk_log_ratio(y, k, by_k);
        out[i] += normaliser - low - high - (a * fk_phi(u, low) + b * fk_phi(v, high));
    }
}

static const fk_column_kernel fk_kernel_beta = {
    .name = "beta",
    .n_statistics = BETA_STATISTICS,
    .n_constants = BETA_CONSTANTS,
    .statistics = beta_statistics,
    .merge = beta_merge,
    .log_density = beta_log_density,
};

#endif
