/* Half-normal distribution: log p(x) = -(x / scale)^2 / 2 - log(scale) + log(2 / pi) / 2 on x >= 0. Statistics: weight
 * and root mean square. */
#ifndef FK_FAMILY_HALF_NORMAL_H
#define FK_FAMILY_HALF_NORMAL_H

#include "fk_column.h"
#include "fk_means.h"

enum { HALF_NORMAL_INVERSE_SCALE, HALF_NORMAL_NORMALISER, HALF_NORMAL_CONSTANTS };

static FK_CLONES void half_normal_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    record[1] = w ? fk_root_mean_square_body(x, w, n, record) : fk_root_mean_square_body(x, NULL, n, record);
}

static void half_normal_merge(double *into, const double *from) {
    double weight = into[0] + from[0];
    into[1] = fk_merged_root(into[1], from[1], from[0] / weight);
    into[0] = weight;
}

static FK_CLONES void half_normal_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                              double *FK_RESTRICT out) {
    const double inverse = c[HALF_NORMAL_INVERSE_SCALE], normaliser = c[HALF_NORMAL_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        double z = x[i] * inverse;
        out[i] += normaliser - 0.5 * z * z;
    }
}

static const fk_column_kernel fk_kernel_half_normal = {
    .name = "half_normal",
    .n_statistics = 2,
    .n_constants = HALF_NORMAL_CONSTANTS,
    .statistics = half_normal_statistics,
    .merge = half_normal_merge,
    .log_density = half_normal_log_density,
};

#endif
