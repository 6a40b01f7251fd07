/* Generalized extreme-value distribution: log p(x) = -(1 + shape) y - exp(-y) - log(scale), z = (x - loc) / scale,
 * y = log(1 + shape z) / shape. The sums are taken in the shape, u = loc / scale and v = log scale. */
#ifndef FK_FAMILY_GENERALIZED_EXTREME_VALUE_H
#define FK_FAMILY_GENERALIZED_EXTREME_VALUE_H

#include "fk_extremes.h"

enum { GEV_SUMS = 10 };

static FK_CLONES void generalized_extreme_value_log_density(const double *FK_RESTRICT x, ptrdiff_t n,
                                                            const double *FK_RESTRICT c, double *FK_RESTRICT out) {
    const double power = 1.0 + c[EX_SHAPE], normaliser = c[EX_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        fk_extreme at = fk_extreme_at(x[i], c);
        double term = fk_select(power == 0.0, 0.0, -power * at.y) - fk_exp(-at.y);
        out[i] += fk_select(at.outside | !(term == term), -INFINITY, normaliser + term);
    }
}

/* With k = exp(-y) - 1 - shape a first derivative is k y_a, and a second one k y_ab - exp(-y) y_a y_b; less y, and what
 * follows from it, by the shape. */
FK_INLINE void generalized_extreme_value_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c,
                                                   double *sums) {
    const double power = 1.0 + c[EX_SHAPE], shape = c[EX_SHAPE];
    double weight = 0.0, value = 0.0, s = 0.0, u = 0.0, v = 0.0, ss = 0.0, su = 0.0, sv = 0.0, uu = 0.0, uv = 0.0, vv = 0.0;
    FK_SIMD_SUM(weight, value, s, u, v, ss, su, sv, uu, uv, vv) for (ptrdiff_t i = 0; i < n; i++) {
        fk_extreme at = fk_extreme_at(x[i], c);
        double wi = w ? w[i] : 1.0, e = fk_exp(-at.y), k = e - power, r = at.r, zr = at.z * r, by = at.by_shape, kr = k * r;
        weight += wi;
        double f = fk_select(power == 0.0, 0.0, -power * at.y) - e;
        value += wi * fk_select(at.outside | !(f == f), -INFINITY, f);
        s += wi * (k * by - at.y);
        u -= wi * kr;
        v -= wi * (k * zr);
        ss += wi * (k * at.by_shape_2 - by * (e * by + 2.0));
        su += wi * (kr * zr + r * (e * by + 1.0));
        sv += wi * (k * zr * zr + zr * (e * by + 1.0));
        uu -= wi * (r * r * (k * shape + e));
        uv += wi * (kr * r - e * (zr * r));
        vv += wi * (zr * (kr - e * zr));
    }
    sums[0] = weight * c[EX_NORMALISER] + value;
    sums[1] = s;
    sums[2] = u;
    sums[3] = v - weight;
    sums[4] = ss;
    sums[5] = su;
    sums[6] = sv;
    sums[7] = uu;
    sums[8] = uv;
    sums[9] = vv;
}

static FK_CLONES void generalized_extreme_value_sums(const double *x, const double *w, ptrdiff_t n, const double *c,
                                                     double *sums) {
    if (w) generalized_extreme_value_sums_body(x, w, n, c, sums);
    else generalized_extreme_value_sums_body(x, NULL, n, c, sums);
}

static void generalized_extreme_value_constants(const double *params, double *c) {
    fk_extreme_constants(params[0], params[1], params[2], c);
}

static void generalized_extreme_value_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] + step[0];
    moved[1] = params[1] + params[2] * step[1];
    moved[2] = params[2] * exp(step[2]);
}

static const fk_column_kernel fk_kernel_generalized_extreme_value = {
    .name = "generalized_extreme_value",
    .n_constants = EX_CONSTANTS,
    .n_sums = GEV_SUMS,
    .log_density = generalized_extreme_value_log_density,
    .sums = generalized_extreme_value_sums,
    .n_parameters = 3,
    .constants = generalized_extreme_value_constants,
    .move = generalized_extreme_value_move,
};

#endif
