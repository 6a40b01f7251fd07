/* Generalized normal distribution: log p(x) = -|z|^shape - log(2 scale Gamma(1 + 1 / shape)), z = (x - loc) / scale.
 *
 * At an infinite shape it is uniform on |z| <= 1: a power is 0 inside and infinite outside. The sums at given parameters are
 * weight, sum |z|^shape, sum |z|^shape log |z| and sum sign(z) |z|^(shape - 1); a row at loc, where the last may be infinite,
 * adds nothing to them.
 */
#ifndef FK_FAMILY_GENERALIZED_NORMAL_H
#define FK_FAMILY_GENERALIZED_NORMAL_H

#include "fk_column.h"
#include "fk_math.h"
#include <math.h>

enum { GN_SHAPE, GN_LOC, GN_INVERSE_SCALE, GN_NORMALISER, GN_CONSTANTS };

FK_INLINE void generalized_normal_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double shape = c[GN_SHAPE], loc = c[GN_LOC], inverse = c[GN_INVERSE_SCALE];
    double weight = 0.0, powers = 0.0, logs = 0.0, slopes = 0.0;
    FK_SIMD_SUM(weight, powers, logs, slopes) for (ptrdiff_t i = 0; i < n; i++) {
        const double wi = w ? w[i] : 1.0, z = (x[i] - loc) * inverse, size = fabs(z), l = fk_log(size);
        const double u = wi * fk_exp(shape * l), slope = u / size;
        const int at_loc = size == 0.0;
        weight += wi;
        powers += u;
        logs += at_loc ? 0.0 : u * l;
        slopes += at_loc ? 0.0 : (z > 0.0 ? slope : -slope);
    }
    sums[0] = weight;
    sums[1] = powers;
    sums[2] = logs;
    sums[3] = slopes;
}

static void generalized_normal_uniform_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    sums[0] = sums[1] = sums[2] = sums[3] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        sums[0] += w ? w[i] : 1.0;
        if (fabs((x[i] - c[GN_LOC]) * c[GN_INVERSE_SCALE]) > 1.0) sums[1] = INFINITY;
    }
}

static FK_CLONES void generalized_normal_finite_sums(const double *x, const double *w, ptrdiff_t n, const double *c,
                                                     double *sums) {
    if (w) generalized_normal_sums_body(x, w, n, c, sums);
    else generalized_normal_sums_body(x, NULL, n, c, sums);
}

static void generalized_normal_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (isinf(c[GN_SHAPE])) generalized_normal_uniform_sums(x, w, n, c, sums);
    else generalized_normal_finite_sums(x, w, n, c, sums);
}

static FK_CLONES void generalized_normal_finite_log_density(const double *FK_RESTRICT x, ptrdiff_t n,
                                                            const double *FK_RESTRICT c, double *FK_RESTRICT out) {
    const double shape = c[GN_SHAPE], loc = c[GN_LOC], inverse = c[GN_INVERSE_SCALE], normaliser = c[GN_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++)
        out[i] += normaliser - fk_exp(shape * fk_log(fabs((x[i] - loc) * inverse)));
}

static void generalized_normal_log_density(const double *x, ptrdiff_t n, const double *c, double *out) {
    if (!isinf(c[GN_SHAPE])) {
        generalized_normal_finite_log_density(x, n, c, out);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        out[i] += fabs((x[i] - c[GN_LOC]) * c[GN_INVERSE_SCALE]) > 1.0 ? -INFINITY : c[GN_NORMALISER];
}

static const fk_column_kernel fk_kernel_generalized_normal = {
    .name = "generalized_normal",
    .n_constants = GN_CONSTANTS,
    .n_sums = 4,
    .log_density = generalized_normal_log_density,
    .sums = generalized_normal_sums,
};

#endif
