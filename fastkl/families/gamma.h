/* Gamma distribution with shape a and scale s, mean m = a s, in its saddle-point form (C. Loader 2000):
 *
 *     log p(x) = -a phi(x/m - 1) - log x + log(a / 2 pi) / 2 - delta(a),      phi(u) = u - log(1 + u) >= 0,
 *
 * delta being the error of Stirling's formula. The textbook form subtracts terms of size a log a: at shape 1e6 it has lost nine
 * digits. For the same reason the statistic beside weight and mean is the sum of phi(x / mean - 1) and not the mean
 * logarithm: both terms of log(mean) - mean(log) would be large for large shapes, phi is small and has all its digits.
 */
#ifndef FK_FAMILY_GAMMA_H
#define FK_FAMILY_GAMMA_H

#include "fk_column.h"
#include "fk_log_phi.h"
#include "fk_math.h"
#include "fk_means.h"
#include "fk_sum_log.h"

enum { GAMMA_WEIGHT, GAMMA_MEAN, GAMMA_LOG_EXCESS, GAMMA_STATISTICS };
enum { GAMMA_SHAPE, GAMMA_MEAN_HIGH, GAMMA_MEAN_LOW, GAMMA_INVERSE_MEAN, GAMMA_LOG_MEAN, GAMMA_NORMALISER, GAMMA_CONSTANTS };

#define GAMMA_WIDE 1e-3      /* mean excess (shape 500) from which a plain sum of logarithms keeps 13 digits of it */

/* log(x / mean), and phi at u = x / mean - 1 */
FK_INLINE fk_log_phi gamma_log_and_phi(double x, double u, double inverse_mean) {
    double shift, ratio = fk_shifted_ratio(x, inverse_mean, &shift);
    return fk_log_and_phi(ratio, u, shift);
}

FK_INLINE void gamma_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight, sum = 0.0, left = 0.0;
    double mean = fk_corrected_mean_body(x, w, n, &weight), inverse = 1.0 / mean;
    FK_SIMD_SUM(sum, left) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, u = (x[i] - mean) * inverse;
        left += wi * u;
        sum += wi * gamma_log_and_phi(x[i], u, inverse).phi;
    }
    record[GAMMA_WEIGHT] = weight;
    record[GAMMA_MEAN] = mean;
    /* The mean is rounded, so the u sum to left and not to 0. About the exact mean, in units of this one 1 + left / weight, the
     * excess is less by weight phi(left / weight), of second order; left itself, of first order, would outweigh it once the
     * shape nears 1 / rounding. */
    record[GAMMA_LOG_EXCESS] = sum - 0.5 * left * (left / weight);
}

static FK_CLONES void gamma_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w || n < FK_SUM_LOG_MANY) {
        if (w) gamma_statistics_body(x, w, n, record);
        else gamma_statistics_body(x, NULL, n, record);
        return;
    }
    /* Without weights the excess is minus the sum of the log ratios, unless it is so small that phi has to be summed. A mean that
     * is off by a rounding changes so large an excess by as little; only phi needs the corrected one. */
    ptrdiff_t irregular;
    double mean = fk_plain_mean_body(x, n);
    double excess = -fk_sum_log(x, n, 1.0 / mean, &irregular);
    record[GAMMA_WEIGHT] = (double)n;
    record[GAMMA_MEAN] = mean;
    record[GAMMA_LOG_EXCESS] = excess;
    if (!(excess > GAMMA_WIDE * (double)n) || irregular) gamma_statistics_body(x, NULL, n, record);
}

/* About the common mean m the excess of either part grows by its weight times phi(m_part / m - 1): all terms are >= 0. */
static void gamma_merge(double *into, const double *from) {
    double weight = into[GAMMA_WEIGHT] + from[GAMMA_WEIGHT], shift = from[GAMMA_MEAN] - into[GAMMA_MEAN];
    double share = from[GAMMA_WEIGHT] / weight;
    double mean = into[GAMMA_MEAN] + shift * share;
    double u = -shift * share / mean, v = shift * (into[GAMMA_WEIGHT] / weight) / mean;
    into[GAMMA_LOG_EXCESS] += from[GAMMA_LOG_EXCESS] +
                              into[GAMMA_WEIGHT] * gamma_log_and_phi(into[GAMMA_MEAN], u, 1.0 / mean).phi +
                              from[GAMMA_WEIGHT] * gamma_log_and_phi(from[GAMMA_MEAN], v, 1.0 / mean).phi;
    into[GAMMA_MEAN] = mean;
    into[GAMMA_WEIGHT] = weight;
}

static FK_CLONES void gamma_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                        double *FK_RESTRICT out) {
    const double shape = c[GAMMA_SHAPE], high = c[GAMMA_MEAN_HIGH], low = c[GAMMA_MEAN_LOW];
    const double inverse = c[GAMMA_INVERSE_MEAN];
    const double normaliser = c[GAMMA_NORMALISER] - c[GAMMA_LOG_MEAN];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        fk_log_phi ratio = gamma_log_and_phi(x[i], ((x[i] - high) - low) * inverse, inverse);
        out[i] += normaliser - ratio.log - shape * ratio.phi;
    }
}

static const fk_column_kernel fk_kernel_gamma = {
    .name = "gamma",
    .n_statistics = GAMMA_STATISTICS,
    .n_constants = GAMMA_CONSTANTS,
    .statistics = gamma_statistics,
    .merge = gamma_merge,
    .log_density = gamma_log_density,
};

#endif
