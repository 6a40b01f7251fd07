/* Laplace distribution: log p(x) = -|x - loc| / scale - log(2 scale). The maximum needs the median, hence no
 * statistics; the sums at given parameters are weight, sum |x - loc| / scale and sum sign(x - loc). */
#ifndef FK_FAMILY_LAPLACE_H
#define FK_FAMILY_LAPLACE_H

#include "fk_column.h"
#include <math.h>

enum { LAPLACE_LOC, LAPLACE_INVERSE_SCALE, LAPLACE_NORMALISER, LAPLACE_CONSTANTS };

FK_INLINE void laplace_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    double weight = 0.0, distance = 0.0, sign = 0.0;
    FK_SIMD_SUM(weight, distance, sign) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0, z = (x[i] - c[LAPLACE_LOC]) * c[LAPLACE_INVERSE_SCALE];
        weight += wi;
        distance += wi * fabs(z);
        sign += z > 0.0 ? wi : (z < 0.0 ? -wi : 0.0);
    }
    sums[0] = weight;
    sums[1] = distance;
    sums[2] = sign;
}

static FK_CLONES void laplace_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (w) laplace_sums_body(x, w, n, c, sums);
    else laplace_sums_body(x, NULL, n, c, sums);
}

static FK_CLONES void laplace_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                          double *FK_RESTRICT out) {
    const double loc = c[LAPLACE_LOC], inverse = c[LAPLACE_INVERSE_SCALE], normaliser = c[LAPLACE_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] += normaliser - fabs((x[i] - loc) * inverse);
}

static const fk_column_kernel fk_kernel_laplace = {
    .name = "laplace",
    .n_constants = LAPLACE_CONSTANTS,
    .n_sums = 3,
    .log_density = laplace_log_density,
    .sums = laplace_sums,
};

#endif
