/* Generalized Pareto distribution: log p(x) = -(1 + shape) y - log(scale) on x >= 0, y = log(1 + shape x / scale) / shape.
 *
 * At shape -1 it is uniform up to the end of its support, which then belongs to it. The sums are taken in the shape and in
 * log scale. */
#ifndef FK_FAMILY_GENERALIZED_PARETO_H
#define FK_FAMILY_GENERALIZED_PARETO_H

#include "fk_extremes.h"

enum { GP_SUMS = 6 };

static FK_CLONES void generalized_pareto_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                                     double *FK_RESTRICT out) {
    const double power = 1.0 + c[EX_SHAPE], normaliser = c[EX_NORMALISER];
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
        fk_extreme at = fk_extreme_at(x[i], c);
        double term = fk_select(power == 0.0, 0.0, -power * at.y);
        out[i] += fk_select(at.outside, -INFINITY, normaliser + term);
    }
}

FK_INLINE void generalized_pareto_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    const double power = 1.0 + c[EX_SHAPE];
    double weight = 0.0, value = 0.0, y = 0.0, by = 0.0, by2 = 0.0, zr = 0.0, zr2 = 0.0, zrr = 0.0;
    FK_SIMD_SUM(weight, value, y, by, by2, zr, zr2, zrr) for (ptrdiff_t i = 0; i < n; i++) {
        fk_extreme at = fk_extreme_at(x[i], c);
        double wi = w ? w[i] : 1.0, own = at.z * at.r;
        weight += wi;
        value += wi * fk_select(at.outside, -INFINITY, fk_select(power == 0.0, 0.0, -power * at.y));
        y += wi * at.y;
        by += wi * at.by_shape;
        by2 += wi * at.by_shape_2;
        zr += wi * own;
        zr2 += wi * (own * own);
        zrr += wi * (own * at.r);
    }
    sums[0] = weight * c[EX_NORMALISER] + value;
    sums[1] = -y - power * by;
    sums[2] = power * zr - weight;
    sums[3] = -2.0 * by - power * by2;
    sums[4] = zr - power * zr2;
    sums[5] = -power * zrr;
}

static FK_CLONES void generalized_pareto_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) {
    if (w) generalized_pareto_sums_body(x, w, n, c, sums);
    else generalized_pareto_sums_body(x, NULL, n, c, sums);
}

static void generalized_pareto_constants(const double *params, double *c) {
    fk_extreme_constants(params[0], 0.0, params[1], c);
}

static void generalized_pareto_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] + step[0];
    moved[1] = params[1] * exp(step[1]);
}

static const fk_column_kernel fk_kernel_generalized_pareto = {
    .name = "generalized_pareto",
    .n_constants = EX_CONSTANTS,
    .n_sums = GP_SUMS,
    .log_density = generalized_pareto_log_density,
    .sums = generalized_pareto_sums,
    .n_parameters = 2,
    .constants = generalized_pareto_constants,
    .move = generalized_pareto_move,
};

#endif
