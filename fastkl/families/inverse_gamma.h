/* Inverse gamma distribution: a number over a gamma variable. With shape a, scale b and m = b / a, in saddle-point form
 *
 *     log p(x) = -a phi(m/x - 1) - log x + log(a / 2 pi) / 2 - delta(a),      phi(u) = u - log(1 + u) >= 0,
 *
 * delta being the error of Stirling's formula (gamma.h). The statistics are weight, harmonic mean M, and the sum of
 * phi(M/x - 1), which is small where the logarithm of the harmonic mean and the mean logarithm are near each other.
 */
#ifndef FK_FAMILY_INVERSE_GAMMA_H
#define FK_FAMILY_INVERSE_GAMMA_H

#include "fk_column.h"
#include "fk_log_phi.h"

enum { INVG_WEIGHT, INVG_MEAN, INVG_LOG_EXCESS, INVG_STATISTICS };
enum { INVG_SHAPE, INVG_CENTRE_HIGH, INVG_CENTRE_LOW, INVG_NORMALISER, INVG_CONSTANTS };

#define INVERSE_GAMMA_FAR 0x1p500 /* beyond it x is scaled down, so that m / x keeps its digits */

/* What a quotient centre / x needs: the centre scaled up if large x would make it a subnormal number. */
typedef struct {
    double near, far, shift;
} inverse_gamma_centre;

FK_INLINE inverse_gamma_centre inverse_gamma_scaled(double centre) {
    const int large = centre > INVERSE_GAMMA_FAR;
    return (inverse_gamma_centre){centre, large ? centre * 0x1p-500 : centre * 0x1p500, large ? 0.0 : -1000.0};
}

/* log(centre / x), and phi at u = centre / x - 1 */
FK_INLINE fk_log_phi inverse_gamma_log_and_phi(double x, double u, inverse_gamma_centre centre) {
    const int far = x > INVERSE_GAMMA_FAR;
    return fk_log_and_phi(fk_select(far, centre.far, centre.near) / (x * fk_select(far, 0x1p-500, 1.0)), u,
                          fk_select(far, centre.shift, 0.0));
}

FK_INLINE void inverse_gamma_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight = 0.0, shares = 0.0, left = 0.0, sum = 0.0, least = x[0];
    for (ptrdiff_t i = 1; i < n; i++) least = x[i] < least ? x[i] : least;
    FK_SIMD_SUM(weight, shares) for (ptrdiff_t i = 0; i < n; i++) { /* in units of the least, nothing overflows */
        double wi = w ? w[i] : 1.0;
        weight += wi;
        shares += wi * (least / x[i]);
    }
    double mean = least / (shares / weight);
    FK_SIMD_SUM(left) for (ptrdiff_t i = 0; i < n; i++) left += (w ? w[i] : 1.0) * ((mean - x[i]) / x[i]);
    mean = mean / (1.0 + left / weight); /* what rounding took away */
    left = 0.0;
    const inverse_gamma_centre centre = inverse_gamma_scaled(mean);
    FK_SIMD_SUM(left, sum) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, u = (mean - x[i]) / x[i];
        left += wi * u;
        sum += wi * inverse_gamma_log_and_phi(x[i], u, centre).phi;
    }
    record[INVG_WEIGHT] = weight;
    record[INVG_MEAN] = mean;
    record[INVG_LOG_EXCESS] = sum - 0.5 * left * (left / weight); /* about the exact mean, as in gamma.h */
}

static FK_CLONES void inverse_gamma_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) inverse_gamma_statistics_body(x, w, n, record);
    else inverse_gamma_statistics_body(x, NULL, n, record);
}

/* With t = M / M' - 1 and s the share of the second part, the mean of 1/x grows by 1 + s t: relative to it the means of
 * the parts are off by -s t / (1 + s t) and (1 - s) t / (1 + s t), and the excess grows by their phi. */
static void inverse_gamma_merge(double *into, const double *from) {
    const double weight = into[INVG_WEIGHT] + from[INVG_WEIGHT], share = from[INVG_WEIGHT] / weight;
    const double t = (into[INVG_MEAN] - from[INVG_MEAN]) / from[INVG_MEAN], growth = 1.0 + share * t;
    const double u = -share * t / growth, v = (1.0 - share) * t / growth, mean = into[INVG_MEAN] / growth;
    const inverse_gamma_centre centre = inverse_gamma_scaled(mean);
    into[INVG_LOG_EXCESS] += from[INVG_LOG_EXCESS] +
                             into[INVG_WEIGHT] * inverse_gamma_log_and_phi(into[INVG_MEAN], u, centre).phi +
                             from[INVG_WEIGHT] * inverse_gamma_log_and_phi(from[INVG_MEAN], v, centre).phi;
    into[INVG_MEAN] = mean;
    into[INVG_WEIGHT] = weight;
}

static FK_CLONES void inverse_gamma_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                                double *FK_RESTRICT out) {
    const double shape = c[INVG_SHAPE], high = c[INVG_CENTRE_HIGH], low = c[INVG_CENTRE_LOW], normaliser = c[INVG_NORMALISER];
    const inverse_gamma_centre centre = inverse_gamma_scaled(high);
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        fk_log_phi ratio = inverse_gamma_log_and_phi(x[i], ((high - x[i]) + low) / x[i], centre);
        out[i] += normaliser + ratio.log - shape * ratio.phi;
    }
}

static const fk_column_kernel fk_kernel_inverse_gamma = {
    .name = "inverse_gamma",
    .n_statistics = INVG_STATISTICS,
    .n_constants = INVG_CONSTANTS,
    .statistics = inverse_gamma_statistics,
    .merge = inverse_gamma_merge,
    .log_density = inverse_gamma_log_density,
};

#endif
