/* What the distributions of counts share: terms of a log-probability that lose nothing, however large the counts.
 *
 * C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000): with h(x) = log(2 pi x) / 2 + delta(x), delta
 * being the error of Stirling's formula for x!, and D(x, m) = x log(x / m) + m - x >= 0,
 *
 *     log Poisson(x; m) = -D(x, m) - h(x),   D(x, m) = x phi((m - x) / x),   phi(u) = u - log(1 + u),
 *
 * where the textbook form subtracts numbers of size x log x. Sums of D have a Pythagorean identity: about any rate m they
 * are the sum about the mean plus weight D(mean, m), so that blocks merge without cancellation.
 */
#ifndef FK_COUNTS_H
#define FK_COUNTS_H

#include "fk_column.h"
#include "fk_log_phi.h"
#include "fk_math.h"
#include "fk_stirling.h"

/* A rate as the loops below want it: scaled up where its quotients would leave the normal numbers. */
typedef struct {
    double rate, scaled, shift, log;
} fk_rate;

FK_INLINE fk_rate fk_make_rate(double rate) {
    int tiny = rate < 0x1p-500;
    return (fk_rate){rate, tiny ? rate * 0x1p500 : rate, tiny ? -500.0 : 0.0, rate > 0.0 ? fk_log(rate) : 0.0};
}

typedef struct {
    double deviance, normaliser;
} fk_count_terms;

/* D(x, m) and h(x) of a count x >= 1 (returned, not stored through pointers: the loops would not vectorise) */
FK_INLINE fk_count_terms fk_terms_of_count(double x, fk_rate m) {
    double inverse = 1.0 / x;
    fk_log_phi v = fk_log_and_phi(m.scaled * inverse, (m.rate - x) * inverse, m.shift);
    return (fk_count_terms){x * v.phi, 0.5 * (m.log - v.log) + FK_HALF_LOG_2PI + fk_stirling(inverse)};
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
        double wi = x[i] > 0.0 ? (w ? w[i] : 1.0) : 0.0;
        fk_count_terms t = fk_terms_of_count(x[i] > 0.0 ? x[i] : 1.0, m);
        d += wi * t.deviance;
        h += wi * t.normaliser;
    }
    *deviance = total > 0.0 ? d : 0.0;
    *normaliser = total > 0.0 ? h : 0.0;
}

/* About the common mean the deviance of either part grows by its weight times D(its mean, common mean): all terms are
 * >= 0. */
static inline void fk_merge_counts(double *weight, double *mean, double *deviance, double other_weight, double other_mean,
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
        fk_count_terms t = fk_terms_of_count(x[i] > 0.0 ? x[i] : 1.0, m);
        out[i] += x[i] == 0.0 ? zero : shift - t.deviance - t.normaliser;
    }
}

#endif
