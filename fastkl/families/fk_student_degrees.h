/* The part of a t density that only the degrees of freedom enter, as special/student_degrees.py has it: log Gamma((df + d) / 2) -
 * log Gamma(df / 2) - d log(pi df) / 2 as a function of k = 1 / df, and its derivatives by k, with all digits down to k = 0. */
#ifndef FK_STUDENT_DEGREES_H
#define FK_STUDENT_DEGREES_H

#include "fk_gamma_functions.h"
#include <math.h>

#define STUDENT_SERIES_FROM 16.0
#define STUDENT_HALF_LOG_2PI 0.918938533204672741780

static double student_log_constant(double k, double d) {
    if (k == 0.0) return -d * STUDENT_HALF_LOG_2PI;
    const double a = 0.5 / k, h = 0.5 * d, u = d * k, log_u = log1p(u);
    const double rest = fk_stirling_error(a + h) - fk_stirling_error(a);
    return -a * fk_phi(u, log_u) + (h - 0.5) * log_u + rest - d * STUDENT_HALF_LOG_2PI;
}

/* L(a) - 1 / (2 a) - 1 / (12 a^2) with L(a) = log a - psi(a), and the same of its derivative, as series in z = 1 / a^2 */
FK_INLINE double student_tail(double z) {
    double t = -3617.0 / 8160;
    t = t * z + 1.0 / 12;
    t = t * z - 691.0 / 32760;
    t = t * z + 1.0 / 132;
    t = t * z - 1.0 / 240;
    t = t * z + 1.0 / 252;
    return (t * z - 1.0 / 120) * z * z;
}

FK_INLINE double student_slope_tail(double p) {
    const double z = p * p;
    double t = 3617.0 / 510;
    t = t * z - 7.0 / 6;
    t = t * z + 691.0 / 2730;
    t = t * z - 5.0 / 66;
    t = t * z + 1.0 / 30;
    t = t * z - 1.0 / 42;
    return (t * z + 1.0 / 30) * z * z * p;
}

static void student_constant_slopes(double k, double d, double *first, double *second) {
    if (k < 1e-12) {
        *first = 0.25 * d * (d - 2.0);
        *second = -*first * d;
        return;
    }
    const double a = 0.5 / k, h = 0.5 * d, u = d * k, p = 1.0 / a, q = 1.0 / (a + h);
    double rise, slope_rise; /* L(a) - L(a + h), and its derivative by a */
    if (a >= STUDENT_SERIES_FROM) {
        rise = h * p * q * (0.5 + (p + q) / 12.0) + (student_tail(p * p) - student_tail(q * q));
        slope_rise = -h * p * q * (0.5 * (p + q) + (p * p + p * q + q * q) / 6.0) + student_slope_tail(p) - student_slope_tail(q);
    } else {
        const fk_digamma_terms here = fk_digamma(a), there = fk_digamma(a + h);
        rise = here.log_excess - there.log_excess;
        slope_rise = there.curvature * q * q - here.curvature * p * p;
    }
    const double inner = rise - fk_phi(u, log1p(u)), slope = -d * u / (1.0 + u) - 2.0 * a * a * slope_rise;
    *first = -2.0 * a * a * inner;
    *second = 8.0 * a * a * a * inner - 2.0 * a * a * slope;
}

#endif
