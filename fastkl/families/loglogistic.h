/* Log-logistic distribution: log x is logistic about log(scale) with scale 1 / shape. */
#ifndef FK_FAMILY_LOGLOGISTIC_H
#define FK_FAMILY_LOGLOGISTIC_H

#include "fk_location_scale.h"

#define loglogistic_terms fk_logistic_terms
FK_DEFINE_LOG_LOCATION_SCALE_LOOPS(loglogistic)

static FK_CLONES void loglogistic_short_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (w) {
        loglogistic_sums(x, w, n, c, sums);
        return;
    }
    double sum = 0.0;
    FK_LOG_RATIOS;
    FK_SIMD_SUM(sum) for (ptrdiff_t i = 0; i < n; i++) {
        sum += y[i];
        y[i] *= c[LOG_LS_SHAPE];
    }
    fk_ls_totals totals = fk_logistic_totals(y, n);
    totals.f -= sum;
    fk_ls_store(&totals, c[LOG_LS_NORMALISER], sums);
}

FK_DEFINE_DENSITY_TABLE(loglogistic, log_ls, LOG_LS_CONSTANTS, loglogistic_short_sums)

#endif
