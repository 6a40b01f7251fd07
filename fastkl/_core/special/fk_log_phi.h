/* phi(u) = u - log(1 + u), what is left of many log-densities once their large terms have cancelled, in one place for each
 * thing that may be known besides u: nothing else is needed by fk_log_and_phi, which gives log(1 + u) by the way; log(1 + u)
 * itself by fk_phi, where kernels have it already; 1 + u by fk_phi_between, for the range in which the other two lose a few
 * roundings, too long a series for kernels (tests/core/special/test_special_functions.py).
 */
#ifndef FK_LOG_PHI_H
#define FK_LOG_PHI_H

#include "fk_log_ratio.h"

typedef struct {
    double log, phi;
} fk_log_phi;

/* log(1 + u) and phi(u), given u and ratio = (1 + u) 2^-shift, both to all their digits. One argument reduction ratio = 2^k
 * (1 + f) serves both: where k + shift = 0, f is u but for its rounding and is replaced by it, elsewhere phi is at least
 * .04. */
FK_INLINE fk_log_phi fk_log_and_phi(double ratio, double u, double shift) {
    double f, k = fk_split(ratio, &f) + shift;
    u = FK_ROUNDED(u);
    f = k == 0.0 ? u : f;
    double half_square = FK_ROUNDED(0.5 * f * f), tail = FK_ROUNDED(fk_log_tail(f, half_square));
    double log = k * FK_LN2_HI - ((half_square - (tail + k * FK_LN2_LO)) - f);
    return (fk_log_phi){log, k == 0.0 ? half_square - tail : u - log};
}

/* phi(u) = u - log(1 + u) >= 0 given log(1 + u). */
FK_INLINE double fk_phi(double u, double log_ratio) {
    double half_square = 0.5 * u * u;
    double near = half_square - fk_log_tail(u, half_square);
    return fk_select((u > -0.25) & (u < 0.4), near, u - log_ratio);
}

/* phi(u) for -0.6 <= u <= 1.5, where u - log(1 + u) would still lose a few roundings to cancellation: with s = u / (2 + u) the
 * logarithm is 2 artanh(s), u - 2 s is u s, and what is left is the smaller part. The first term left out is below 1e-17. */
FK_INLINE int fk_is_between(double u) { return (u >= -0.6) & (u <= 1.5) & !((u > -0.25) & (u < 0.4)); }

FK_INLINE double fk_phi_between(double u, double one_plus_u) {
    const double s = u / (1.0 + one_plus_u), z = s * s;
    double series = 0.0;
    for (int k = 43; k > 1; k -= 2) series = series * z + 1.0 / k;
    return s * (u - 2.0 * z * series);
}

#endif
