/* What all distributions of a standardised variable z = (x - loc) / scale, or z = shape log(x / scale) for x > 0, have
 * in common.
 *
 * A family gives NAME_terms(z, &psi, &slope): its log-density f(z) up to constants, psi = f'(z) and slope =
 * psi'(z). The sums are the log-likelihood, its gradient and the upper triangle of its Hessian in the coordinates u =
 * loc / scale (scale held where it is, so that u has no unit) and v = log scale; for the distributions of log x in
 * those of log x, whose loc is log(scale) and whose scale is 1 / shape. Both loops take weights as a literal NULL in
 * one copy.
 */
#ifndef FK_LOCATION_SCALE_H
#define FK_LOCATION_SCALE_H

#include "fk_column.h"
#include "fk_log_ratio.h"
#include "fk_sum_log.h"
#include <math.h>

enum { LS_LOC, LS_INVERSE_SCALE, LS_NORMALISER, LS_CONSTANTS };
enum { LOG_LS_SCALE, LOG_LS_INVERSE_SCALE, LOG_LS_SHAPE, LOG_LS_NORMALISER, LOG_LS_CONSTANTS };
enum { LS_SUMS = 6 };

typedef struct {
    double weight, f, psi, z_psi, slope, z_slope, zz_slope;
} fk_ls_totals;

FK_INLINE void fk_ls_store(const fk_ls_totals *t, double normaliser, double *sums) {
    sums[0] = t->f + t->weight * normaliser;
    sums[1] = -t->psi;
    sums[2] = -t->z_psi - t->weight;
    sums[3] = t->slope;
    sums[4] = t->psi + t->z_slope;
    sums[5] = t->z_psi + t->zz_slope;
}

/* One loop: the statement sets z and extra (what is added to f), from x[i] and c. */
#define FK_LS_LOOP(family, statement)                                                                        \
    double weight = 0.0, a = 0.0, b = 0.0, d = 0.0, e = 0.0, g = 0.0, h = 0.0;                               \
    FK_SIMD_SUM(weight, a, b, d, e, g, h) for (ptrdiff_t i = 0; i < n; i++) {                                \
        double z, extra, psi, slope, wi = w ? w[i] : 1.0;                                                    \
        statement;                                                                                           \
        double f = family##_terms(z, &psi, &slope) + extra;                                                  \
        weight += wi;                                                                                        \
        a += wi * f;                                                                                         \
        b += wi * psi;                                                                                       \
        d += wi * (z * psi);                                                                                 \
        e += wi * slope;                                                                                     \
        g += wi * (z * slope);                                                                               \
        h += wi * (z * (z * slope));                                                                         \
    }                                                                                                        \
    fk_ls_totals totals = {weight, a, b, d, e, g, h};

/* The two loops. before: statements ahead of the loop. */
#define FK_DEFINE_DENSITY_LOOPS(family, normaliser, before, statement)                                       \
    FK_INLINE void family##_sums_body(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) { \
        before;                                                                                              \
        FK_LS_LOOP(family, statement)                                                                        \
        fk_ls_store(&totals, c[normaliser], sums);                                                           \
    }                                                                                                        \
    static FK_CLONES void family##_sums(const double *x, const double *w, ptrdiff_t n, const double *c, double *sums) { \
        if (w) family##_sums_body(x, w, n, c, sums);                                                         \
        else family##_sums_body(x, NULL, n, c, sums);                                                        \
    }                                                                                                        \
    static FK_CLONES void family##_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c, \
                                             double *FK_RESTRICT out) {                                      \
        before;                                                                                              \
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {                                                          \
            double z, extra, psi, slope;                                                                     \
            statement;                                                                                       \
            out[i] += c[normaliser] + (family##_terms(z, &psi, &slope) + extra);                             \
        }                                                                                                    \
    }

/* Constants and steps in (loc, scale), and in (scale, shape). */
static void fk_ls_constants(const double *params, double *c) {
    c[LS_LOC] = params[0];
    c[LS_INVERSE_SCALE] = 1.0 / params[1];
    c[LS_NORMALISER] = -log(params[1]);
}

static void fk_ls_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] + params[1] * step[0];
    moved[1] = params[1] * exp(step[1]);
}

static void fk_log_ls_constants(const double *params, double *c) {
    c[LOG_LS_SCALE] = params[0];
    c[LOG_LS_INVERSE_SCALE] = 1.0 / params[0];
    c[LOG_LS_SHAPE] = params[1];
    c[LOG_LS_NORMALISER] = log(params[1]) - log(params[0]);
}

static void fk_log_ls_move(const double *params, const double *step, double *moved) {
    moved[0] = params[0] * exp(step[0] / params[1]);
    moved[1] = params[1] * exp(-step[1]);
}

/* The table of a family: kind is ls or log_ls. */
#define FK_DEFINE_DENSITY_TABLE(family, kind, how_many, sums_function)                                       \
    static const fk_column_kernel fk_kernel_##family = {                                                     \
        .name = #family,                                                                                     \
        .n_constants = how_many,                                                                             \
        .n_sums = LS_SUMS,                                                                                   \
        .log_density = family##_log_density,                                                                 \
        .sums = sums_function,                                                                               \
        .n_parameters = 2,                                                                                   \
        .constants = fk_##kind##_constants,                                                                  \
        .move = fk_##kind##_move,                                                                            \
    };

#define FK_DEFINE_LOCATION_SCALE_LOOPS(family)                                                               \
    FK_DEFINE_DENSITY_LOOPS(family, LS_NORMALISER, , z = (x[i] - c[LS_LOC]) * c[LS_INVERSE_SCALE]; extra = 0.0)
#define FK_DEFINE_LOCATION_SCALE(family)                                                                     \
    FK_DEFINE_LOCATION_SCALE_LOOPS(family)                                                                   \
    FK_DEFINE_DENSITY_TABLE(family, ls, LS_CONSTANTS, family##_sums)

/* The density of x is that of log x divided by x: log x itself is in the normaliser (log scale) and in extra. The
 * logarithms have a loop of their own: one loop for all is longer than what a processor overlaps. */
#define FK_LOG_RATIOS                                                                                        \
    double y[FK_BLOCK];                                                                                      \
    FK_SIMD for (ptrdiff_t i = 0; i < n; i++) y[i] = fk_log_ratio(x[i], c[LOG_LS_SCALE], c[LOG_LS_INVERSE_SCALE])

#define FK_DEFINE_LOG_LOCATION_SCALE_LOOPS(family)                                                           \
    FK_DEFINE_DENSITY_LOOPS(family, LOG_LS_NORMALISER, FK_LOG_RATIOS, z = y[i] * c[LOG_LS_SHAPE]; extra = -y[i])

/* Logistic distribution: f = -|z| - 2 log(1 + exp(-|z|)). */
FK_INLINE double fk_logistic_terms(double z, double *psi, double *slope) {
    double size = fabs(z), e = fk_exp_regular(-size), inverse = 1.0 / (1.0 + e), t = (1.0 - e) * inverse;
    *psi = copysign(t, -z);
    *slope = -2.0 * e * inverse * inverse;
    return -size - 2.0 * fk_log1p_unit(e);
}

/* The totals over a block without weights; z is overwritten. Logarithms of 1 + exp(-|z|), between 1 and 2, are taken
 * of products: f is at most -log 4, so that their relative accuracy is not needed. */
FK_INLINE fk_ls_totals fk_logistic_totals(double *z, ptrdiff_t n) {
    double sizes = 0.0, psi = 0.0, z_psi = 0.0, slope = 0.0, z_slope = 0.0, zz_slope = 0.0;
    FK_SIMD_SUM(sizes, psi, z_psi, slope, z_slope, zz_slope) for (ptrdiff_t i = 0; i < n; i++) {
        double size = fabs(z[i]), e = fk_exp_regular(-size), sum = 1.0 + e, inverse = 1.0 / sum, t = (1.0 - e) * inverse;
        double s = e * inverse * inverse, zs = z[i] * s;
        sizes += size;
        psi += copysign(t, -z[i]);
        z_psi -= size * t;
        slope -= s;
        z_slope -= zs;
        zz_slope -= z[i] * zs;
        z[i] = sum;
    }
    ptrdiff_t irregular;
    double logs = fk_sum_log(z, n, 1.0, &irregular);
    return (fk_ls_totals){(double)n, -sizes - 2.0 * logs, psi, z_psi, 2.0 * slope, 2.0 * z_slope, 2.0 * zz_slope};
}

#endif
