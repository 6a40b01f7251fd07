/* Sums over squared distances d2 that the likelihood of a multivariate t distribution needs, in k = 1 / df:
 *
 *     g(k) = -(1/k + d) log(1 + k d2) / 2,   g'(k) = (phi(u) / k^2 - d d2 v) / 2,   u = -k d2 v,   v = 1 / (1 + k d2),
 *
 * with phi(u) = u - log(1 + u). Written so, g and its slopes keep their digits down to k = 0, the normal distribution:
 * there g = -d2 / 2 and g' = d2^2 / 4 - d d2 / 2.
 */
#ifndef FK_STUDENT_H
#define FK_STUDENT_H

#include "fk_config.h"
#include "fk_log_phi.h"

enum { STUDENT_LOG, STUDENT_SLOPE, STUDENT_CURVATURE, STUDENT_SUMS };

/* own, where wanted, is w (1 + k d) / (1 + k d2): the weights of the expectation step. */
FK_INLINE void student_sums_body(const double *FK_RESTRICT s, const double *FK_RESTRICT w, ptrdiff_t n, double k, double d,
                                 double *FK_RESTRICT sums, double *FK_RESTRICT own) {
    double log = 0.0, slope = 0.0, curvature = 0.0;
    if (k == 0.0) {
        FK_SIMD_SUM(log, slope, curvature) for (ptrdiff_t i = 0; i < n; i++) {
            double wi = w ? w[i] : 1.0, x = s[i];
            log -= wi * 0.5 * x;
            slope += wi * x * (0.25 * x - 0.5 * d);
            curvature += wi * x * x * (0.5 * d - x / 3.0);
            if (own) own[i] = wi;
        }
    } else {
        const double inverse = 1.0 / k, top = 1.0 + k * d;
        FK_SIMD_SUM(log, slope, curvature) for (ptrdiff_t i = 0; i < n; i++) {
            double wi = w ? w[i] : 1.0, v = 1.0 / (1.0 + k * s[i]), x = s[i] * v, u = -k * x;
            fk_log_phi t = fk_log_and_phi(v, u, 0.0);
            double scaled = t.phi * inverse * inverse;
            double scaled_log = 0.5 * (inverse + d) * t.log;
            log += wi * (s[i] < INFINITY ? scaled_log : (s[i] == INFINITY ? -INFINITY : NAN));
            slope += wi * 0.5 * (scaled - d * x);
            curvature += wi * ((0.5 * x * x - scaled) * inverse + 0.5 * d * x * x);
            if (own) own[i] = wi * top * v;
        }
    }
    sums[STUDENT_LOG] = log;
    sums[STUDENT_SLOPE] = slope;
    sums[STUDENT_CURVATURE] = curvature;
}

static FK_CLONES void student_sums(const double *s, const double *w, ptrdiff_t n, double k, double d, double *sums) {
    if (w) student_sums_body(s, w, n, k, d, sums, NULL);
    else student_sums_body(s, NULL, n, k, d, sums, NULL);
}

static FK_CLONES void student_sums_and_weights(const double *s, const double *w, ptrdiff_t n, double k, double d, double *sums,
                                               double *own) {
    if (w) student_sums_body(s, w, n, k, d, sums, own);
    else student_sums_body(s, NULL, n, k, d, sums, own);
}

/* s becomes constant + g(k), in place */
static FK_CLONES void student_log_density(double *s, ptrdiff_t n, double k, double d, double constant) {
    if (k == 0.0) {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) s[i] = constant - 0.5 * s[i];
    } else {
        const double factor = 0.5 * (1.0 / k + d);
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) {
            double v = 1.0 / (1.0 + k * s[i]);
            double y = constant + factor * fk_log_and_phi(v, -k * s[i] * v, 0.0).log;
            s[i] = s[i] < INFINITY ? y : (s[i] == INFINITY ? -INFINITY : NAN);
        }
    }
}

/* The weights of the expectation step alone. */
static FK_CLONES void student_weights(const double *s, const double *w, ptrdiff_t n, double k, double d, double *out) {
    const double top = 1.0 + k * d;
    if (w) {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = w[i] * (top / (1.0 + k * s[i]));
    } else {
        FK_SIMD for (ptrdiff_t i = 0; i < n; i++) out[i] = top / (1.0 + k * s[i]);
    }
}

#endif
