/* Rayleigh distribution: log p(x) = log(x / scale) - (x / scale)^2 / 2 - log(scale) on x > 0. Statistics: weight, root
 * mean square and mean log. */
#ifndef FK_FAMILY_RAYLEIGH_H
#define FK_FAMILY_RAYLEIGH_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include "fk_means.h"
#include "fk_sum_log.h"

enum { RAYLEIGH_SCALE, RAYLEIGH_INVERSE_SCALE, RAYLEIGH_NORMALISER, RAYLEIGH_CONSTANTS };

FK_INLINE void rayleigh_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    record[1] = fk_root_mean_square_body(x, w, n, record);
    record[2] = fk_sum_log_about(x, w, n, record[1]) / record[0];
}

static FK_CLONES void rayleigh_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) rayleigh_statistics_body(x, w, n, record);
    else rayleigh_statistics_body(x, NULL, n, record);
}

static void rayleigh_merge(double *into, const double *from) {
    double weight = into[0] + from[0], share = from[0] / weight;
    into[1] = fk_merged_root(into[1], from[1], share);
    into[2] += (from[2] - into[2]) * share;
    into[0] = weight;
}

static FK_CLONES void rayleigh_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                           double *FK_RESTRICT out) {
    const double scale = c[RAYLEIGH_SCALE], inverse = c[RAYLEIGH_INVERSE_SCALE], normaliser = c[RAYLEIGH_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double z = x[i] * inverse;
        out[i] += normaliser + (fk_log_ratio(x[i], scale, inverse) - 0.5 * z * z);
    }
}

static const fk_column_kernel fk_kernel_rayleigh = {
    .name = "rayleigh",
    .n_statistics = 3,
    .n_constants = RAYLEIGH_CONSTANTS,
    .statistics = rayleigh_statistics,
    .merge = rayleigh_merge,
    .log_density = rayleigh_log_density,
};

#endif
