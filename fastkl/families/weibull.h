/* Weibull law: -log x is Gumbel; with z = shape log(x / scale) the density of log x is shape exp(z - exp(z)).
 *
 * The sums have a loop of their own. With e = exp(z) all six follow from the sums of w, w z, w e, w z e and w z^2 e, and where
 * the shape is moderate and no ratio leaves the normal numbers, log(x / scale) may be taken of the rounded ratio: that puts
 * at most 16 roundings on e. Other blocks take the loop that is safe everywhere.
 */
#ifndef FK_FAMILY_WEIBULL_H
#define FK_FAMILY_WEIBULL_H

#include "fk_location_scale.h"

#define WEIBULL_MODERATE 16.0 /* largest shape for the short loop */
#define WEIBULL_LARGEST 700.0 /* largest z there: exp(z) is finite */

FK_INLINE double weibull_terms(double z, double *psi, double *slope) {
    double e = fk_exp(z);
    *psi = 1.0 - e;
    *slope = -e;
    return z - e;
}
FK_DEFINE_LOG_LOCATION_SCALE_LOOPS(weibull)

/* exp(z) for z <= 700, 1e-304 below -700, which is 0 beside any other term: one power of two, no special values. */
FK_INLINE double weibull_exp(double z) {
    double clamped = z < -700.0 ? -700.0 : z;
    double shifted = clamped * 1.44269504088896338700e+00 + 0x1.8p52;
    double k = shifted - 0x1.8p52, hi = clamped - k * FK_LN2_HI, lo = k * FK_LN2_LO, r = hi - lo;
    double p = 1.6059043836821613e-10;
    p = p * r + 2.0876756987868100e-09;
    p = p * r + 2.5052108385441720e-08;
    p = p * r + 2.7557319223985893e-07;
    p = p * r + 2.7557319223985890e-06;
    p = p * r + 2.4801587301587302e-05;
    p = p * r + 1.9841269841269841e-04;
    p = p * r + 1.3888888888888889e-03;
    p = p * r + 8.3333333333333333e-03;
    p = p * r + 4.1666666666666667e-02;
    p = p * r + 1.6666666666666667e-01;
    p = p * r + 0.5;
    return (1.0 + (hi + (p * r * r - lo))) * fk_double((fk_bits(shifted) + 1023) << 52); /* the low bits hold k */
}

/* Whether the short loop was safe; sums is filled only then. */
FK_INLINE int weibull_short_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[LOG_LS_SHAPE], inverse = c[LOG_LS_INVERSE_SCALE];
    double y[FK_BLOCK], weight = 0.0, sum_z = 0.0, sum_e = 0.0, sum_ze = 0.0, sum_zze = 0.0, irregular = 0.0;
    FK_SIMD_SUM(irregular) for (ptrdiff_t i = 0; i < n; i++) {
        double ratio = x[i] * inverse;
        y[i] = shape * fk_log_regular(ratio);
        irregular += (ratio >= 0x1p-1022) & (ratio < INFINITY) & (y[i] < WEIBULL_LARGEST) ? 0.0 : 1.0;
    }
    if (irregular > 0.0) return 0;
    FK_SIMD_SUM(weight, sum_z, sum_e, sum_ze, sum_zze) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, z = y[i], e = wi * weibull_exp(z), ze = z * e;
        weight += wi;
        sum_z += wi * z;
        sum_e += e;
        sum_ze += ze;
        sum_zze += z * ze;
    }
    fk_ls_totals totals = {weight, sum_z - sum_e - sum_z / shape, weight - sum_e, sum_z - sum_ze, -sum_e, -sum_ze, -sum_zze};
    fk_ls_store(&totals, c[LOG_LS_NORMALISER], sums);
    return 1;
}

static FK_CLONES void weibull_short_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    int done = c[LOG_LS_SHAPE] <= WEIBULL_MODERATE;
    if (done) done = w ? weibull_short_sums_body(x, w, n, c, sums) : weibull_short_sums_body(x, NULL, n, c, sums);
    if (!done) weibull_sums(x, w, n, c, sums);
}

static const fk_column_kernel fk_kernel_weibull = {
    .name = "weibull",
    .n_constants = LOG_LS_CONSTANTS,
    .n_sums = LS_SUMS,
    .log_density = weibull_log_density,
    .sums = weibull_short_sums,
};

#endif
