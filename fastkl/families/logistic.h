/* Logistic distribution: log p(x) = -z - 2 log(1 + exp(-z)) - log(scale), z = (x - loc) / scale. */
#ifndef FK_FAMILY_LOGISTIC_H
#define FK_FAMILY_LOGISTIC_H

#include "fk_location_scale.h"

#define logistic_terms fk_logistic_terms
FK_DEFINE_LOCATION_SCALE_LOOPS(logistic)

static FK_CLONES void logistic_short_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (w) {
        logistic_sums(x, w, n, c, sums);
        return;
    }
    double z[FK_BLOCK];
    z[0] = 0.0;
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) z[i] = (x[i] - c[LS_LOC]) * c[LS_INVERSE_SCALE];
    fk_ls_totals totals = fk_logistic_totals(z, n);
    fk_ls_store(&totals, c[LS_NORMALISER], sums);
}

FK_DEFINE_DENSITY_TABLE(logistic, ls, LS_CONSTANTS, logistic_short_sums)

#endif
