/* Log-normal distribution: log x is normal with mean meanlog and standard deviation sdlog. Statistics: the centred
 * moments of log x. */
#ifndef FK_FAMILY_LOGNORMAL_H
#define FK_FAMILY_LOGNORMAL_H

#include "fk_column.h"
#include "fk_math.h"
#include "fk_moments.h"

enum { LOGNORMAL_MEANLOG, LOGNORMAL_INVERSE_SDLOG, LOGNORMAL_NORMALISER, LOGNORMAL_CONSTANTS };

FK_INLINE void lognormal_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double y[FK_BLOCK];
    uint64_t irregular = 0; /* subnormal, or NaN */
    y[0] = 0.0;
    FK_SIMD_SUM(irregular) for (ptrdiff_t i = 0; i < n; i++) {
        y[i] = fk_log_regular(x[i]);
        irregular += x[i] >= 0x1p-1022 ? 0 : 1;
    }
    if (irregular) FK_SIMD for (ptrdiff_t i = 0; i < n; i++) y[i] = fk_log(x[i]);
    fk_moments_body(y, w, n, record);
}

static FK_CLONES void lognormal_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) lognormal_statistics_body(x, w, n, record);
    else lognormal_statistics_body(x, NULL, n, record);
}

static FK_CLONES void lognormal_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                            double *FK_RESTRICT out) {
    const double meanlog = c[LOGNORMAL_MEANLOG], inverse = c[LOGNORMAL_INVERSE_SDLOG], normaliser = c[LOGNORMAL_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double y = fk_log(x[i]), z = (y - meanlog) * inverse;
        out[i] += normaliser - y - 0.5 * z * z;
    }
}

static const fk_column_kernel fk_kernel_lognormal = {
    .name = "lognormal",
    .n_statistics = FK_MOMENTS,
    .n_constants = LOGNORMAL_CONSTANTS,
    .statistics = lognormal_statistics,
    .merge = fk_merge_moments,
    .log_density = lognormal_log_density,
};

#endif
