/* Weibull distribution: -log x is Gumbel; with z = shape log(x / scale) the density of log x is shape exp(z - exp(z)).
 *
 * The sums have a loop of their own. With e = exp(z) all six follow from the sums of w, w z, w e, w z e and w z^2 e,
 * and where the shape is moderate and no ratio leaves the normal numbers, log(x / scale) may be taken of the rounded
 * ratio: that puts at most 16 roundings on e. Other blocks take the loop that is safe everywhere.
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
    return fk_select(e < INFINITY, z - e, -INFINITY); /* z may be inf */
}
FK_DEFINE_LOG_LOCATION_SCALE_LOOPS(weibull)

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
        double wi = w ? w[i] : 1.0, z = y[i], e = wi * fk_exp_regular(z), ze = z * e;
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

FK_DEFINE_DENSITY_TABLE(weibull, log_ls, LOG_LS_CONSTANTS, weibull_short_sums)

#endif
