/* What the laws of counts share: terms of a log-probability that lose nothing, however large the counts.
 *
 * C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000): with h(x) = log(2 pi x) / 2 + delta(x), delta being
 * the error of Stirling's formula for x!, and D(x, m) = x log(x / m) + m - x >= 0,
 *
 *     log Poisson(x; m) = -D(x, m) - h(x),   D(x, m) = x phi((m - x) / x),   phi(u) = u - log(1 + u),
 *
 * where the textbook form subtracts numbers of size x log x. Sums of D have a Pythagorean identity: about any rate m they are the sum
 * about the mean plus weight D(mean, m), so that blocks merge without cancellation.
 */
#ifndef FK_COUNTS_H
#define FK_COUNTS_H

#include "fk_column.h"
#include "fk_math.h"
#include "fk_moments.h"

#define FK_STIRLING_FROM 16.0 /* from here on eight terms of the series are exact to rounding */

/* delta(x) = log x! - ((x + 1/2) log x - x + log(2 pi) / 2) for x = 0 (unused), 1, ..., 15 */
static const double fk_stirling_table[16] = {
    0.0,
    0.08106146679532725822, 0.04134069595540929409, 0.02767792568499833915, 0.02079067210376509311,
    0.01664469118982119216, 0.01387612882307074800, 0.01189670994589177010, 0.01041126526197209650,
    0.00925546218271273292, 0.00833056343336287126, 0.00757367548795184080, 0.00694284010720952987,
    0.00640899418800420707, 0.00595137011275884774, 0.00555473355196280137,
};

/* the series of delta at x >= 16, given 1 / x (Abramowitz and Stegun 6.1.41) */
FK_INLINE double fk_stirling_series(double inverse) {
    double z = inverse * inverse, p = -3617.0 / 122400.0;
    p = p * z + 1.0 / 156.0;
    p = p * z - 691.0 / 360360.0;
    p = p * z + 1.0 / 1188.0;
    p = p * z - 1.0 / 1680.0;
    p = p * z + 1.0 / 1260.0;
    p = p * z - 1.0 / 360.0;
    p = p * z + 1.0 / 12.0;
    return p * inverse;
}

/* delta of a whole number x >= 1 */
FK_INLINE double fk_stirling_count(double x, double inverse) {
    int small = x < FK_STIRLING_FROM;
    double table = fk_stirling_table[small ? (int)x : 0];
    return small ? table : fk_stirling_series(inverse);
}

/* delta of any z > 0: below 16 by log Gamma(z) = log Gamma(z + 16) - log(z (z + 1) ... (z + 15)) */
FK_INLINE double fk_stirling_real(double z) {
    int small = z < FK_STIRLING_FROM;
    double y = small ? z + 16.0 : z, product = z;
    for (int k = 1; k < 16; k++) product *= z + k;
    double series = fk_stirling_series(1.0 / y);
    double shifted = series + (y - 0.5) * fk_log(y) - fk_log(product) - (z - 0.5) * fk_log(z) - 16.0;
    return small ? shifted : series;
}

typedef struct {
    double log, phi;
} fk_log_phi;

/* log(1 + u) and phi(u), given u and ratio = (1 + u) 2^-shift, both to all their digits. One argument reduction ratio = 2^k (1 + f)
 * serves both: where k + shift = 0, f is u but for its rounding and is replaced by it, elsewhere phi is at least .04. */
FK_INLINE fk_log_phi fk_log_and_phi(double ratio, double u, double shift) {
    double f, k = fk_split(ratio, &f) + shift;
    f = k == 0.0 ? u : f;
    double half_square = 0.5 * f * f, tail = fk_log_tail(f, half_square);
    double log = k * FK_LN2_HI - ((half_square - (tail + k * FK_LN2_LO)) - f);
    return (fk_log_phi){log, k == 0.0 ? half_square - tail : u - log};
}

/* A rate as the loops below want it: scaled up where its quotients would leave the normal numbers. */
typedef struct {
    double rate, scaled, shift, log;
} fk_rate;

FK_INLINE fk_rate fk_make_rate(double rate) {
    int tiny = rate < 0x1p-500;
    return (fk_rate){rate, tiny ? rate * 0x1p500 : rate, tiny ? -500.0 : 0.0, rate > 0.0 ? fk_log(rate) : 0.0};
}

/* D(x, m) and h(x) of a count x >= 1 */
FK_INLINE void fk_count_terms(double x, fk_rate m, double *deviance, double *normaliser) {
    double inverse = 1.0 / x;
    fk_log_phi v = fk_log_and_phi(m.scaled * inverse, (m.rate - x) * inverse, m.shift);
    *deviance = x * v.phi;
    *normaliser = 0.5 * (m.log - v.log) + FK_HALF_LOG_2PI + fk_stirling_count(x, inverse);
}

/* D(x, m) of any x >= 0 and m > 0, or x = m = 0 */
FK_INLINE double fk_deviance(double x, double m) {
    if (x == 0.0) return m;
    fk_rate rate = fk_make_rate(m);
    return x * fk_log_and_phi(rate.scaled / x, (m - x) / x, rate.shift).phi;
}

/* Sums over the positive counts of a block: their weight, their mean, and D about that mean and h, to be added up. */
FK_INLINE void fk_positive_counts_body(const double *x, const double *w, ptrdiff_t n, double *weight, double *mean,
                                       double *deviance, double *normaliser) {
    double total = 0.0, sum = 0.0, d = 0.0, h = 0.0;
    FK_SIMD_SUM(total, sum) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = x[i] > 0.0 ? (w ? w[i] : 1.0) : 0.0;
        total += wi;
        sum += wi * x[i];
    }
    *weight = total;
    *mean = total > 0.0 ? sum / total : 0.0;
    const fk_rate m = fk_make_rate(*mean);
    FK_SIMD_SUM(d, h) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = x[i] > 0.0 ? (w ? w[i] : 1.0) : 0.0, deviance_i, normaliser_i;
        fk_count_terms(x[i] > 0.0 ? x[i] : 1.0, m, &deviance_i, &normaliser_i);
        d += wi * deviance_i;
        h += wi * normaliser_i;
    }
    *deviance = total > 0.0 ? d : 0.0;
    *normaliser = total > 0.0 ? h : 0.0;
}

/* About the common mean the deviance of either part grows by its weight times D(its mean, common mean): all terms are >= 0. */
static void fk_merge_counts(double *weight, double *mean, double *deviance, double other_weight, double other_mean,
                            double other_deviance) {
    double total = *weight + other_weight;
    double common = total > 0.0 ? *mean + (other_mean - *mean) * (other_weight / total) : 0.0;
    *deviance += other_deviance;
    if (*weight > 0.0) *deviance += *weight * fk_deviance(*mean, common);
    if (other_weight > 0.0) *deviance += other_weight * fk_deviance(other_mean, common);
    *mean = common;
    *weight = total;
}

/* out += log Poisson(x; rate) + shift, but zero where x = 0 */
FK_INLINE void fk_poisson_body(const double *FK_RESTRICT x, ptrdiff_t n, double rate, double zero, double shift,
                               double *FK_RESTRICT out) {
    if (rate == 0.0) {
        for (ptrdiff_t i = 0; i < n; i++) out[i] += x[i] == 0.0 ? zero : -INFINITY;
        return;
    }
    const fk_rate m = fk_make_rate(rate);
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double deviance, normaliser;
        fk_count_terms(x[i] > 0.0 ? x[i] : 1.0, m, &deviance, &normaliser);
        out[i] += x[i] == 0.0 ? zero : shift - deviance - normaliser;
    }
}

#endif
