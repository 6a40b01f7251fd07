/* Logarithm, exponential and relatives as branch-free inline functions, so that a loop over them vectorises.
 *
 * Errors (measured against 50-digit arithmetic in tests/core/test_vector_math.py): at most 2 units in the last place
 * over the whole range, subnormal numbers included. Special values follow C: log(0) = -inf, log(x < 0) = nan,
 * exp(-inf) = 0. The argument reductions and the logarithm's polynomial are those of W. J. Cody's and Sun's fdlibm
 * tradition (minimax on [sqrt(1/2), sqrt(2)]); the exponential is a Taylor polynomial on [-ln 2 / 2, ln 2 / 2].
 */
#ifndef FK_MATH_H
#define FK_MATH_H

#include "fk_config.h"
#include <math.h>
#include <string.h>

#define FK_LN2_HI 6.93147180369123816490e-01 /* ln 2 rounded to 32 bits, so that k * FK_LN2_HI is exact */
#define FK_LN2_LO 1.90821492927058770002e-10
#define FK_HALF_LOG_2PI 0.91893853320467274178

/* A product that no sum is fused with: x y + 0 rounds once, as the product does. Where a product is used twice, or two of them
 * are in one sum, the compiler may fuse one way in vectors and another in the rows that are left over, whose last digit would
 * then depend on how many rows there are. */
#define FK_ROUNDED(product) ((product) + 0.0)

FK_INLINE uint64_t fk_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
FK_INLINE double fk_double(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for normal positive x. The exponent becomes a double by its
 * bits, as the low end of a number from 2^52 on: only AVX-512 has an integer conversion for vectors. */
FK_INLINE double fk_split(double x, double *f) {
    uint64_t u = fk_bits(x) + (0x3ff0000000000000ULL - 0x3fe6a09e667f3bcdULL);
    double k = fk_double((u >> 52) | 0x4330000000000000ULL) - (0x1p52 + 1023.0);
    *f = fk_double((u & 0x000fffffffffffffULL) + 0x3fe6a09e667f3bcdULL) - 1.0;
    return k;
}

/* s (f^2/2 + R(s)) with s = f / (2 + f): then log(1 + f) = f - (f^2/2 - this). */
FK_INLINE double fk_log_tail(double f, double half_square) {
    double s = f / (2.0 + f), z = s * s, w = z * z;
    double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 +
                 w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    return s * (half_square + (even + odd));
}

/* log(x) of normal positive x alone: half the time of fk_log. */
FK_INLINE double fk_log_regular(double x) {
    double f, k = fk_split(x, &f), half_square = 0.5 * f * f;
    return k * FK_LN2_HI - ((half_square - (fk_log_tail(f, half_square) + k * FK_LN2_LO)) - f);
}

FK_INLINE double fk_log(double x) {
    int subnormal = x < 0x1p-1022;
    double f, k = fk_split(subnormal ? x * 0x1p54 : x, &f);
    double half_square = 0.5 * f * f;
    k = subnormal ? k - 54.0 : k;
    double y = k * FK_LN2_HI - ((half_square - (fk_log_tail(f, half_square) + k * FK_LN2_LO)) - f);
    double special = x > 0.0 ? x : (x == 0.0 ? -INFINITY : NAN);
    return (x > 0.0) & (x < INFINITY) ? y : special;
}

FK_INLINE double fk_log1p(double u) {
    u = FK_ROUNDED(u);
    double w = 1.0 + u;
    double lost = (u - (w - 1.0)) / w; /* what rounding 1 + u to w took away */
    double y = fk_log(w) + (w > 0.0 && w < INFINITY ? lost : 0.0);
    return y;
}

/* (exp(r) - 1 - r) / r^2 */
FK_INLINE double fk_exp_tail(double r) {
    double p = 1.6059043836821613e-10;
    p = p * r + 2.0876756987868100e-09;
    p = p * r + 2.5052108385441720e-08;
    p = p * r + 2.7557319223985893e-07;
    p = p * r + 2.7557319223985890e-06;
    p = p * r + 2.4801587301587302e-05;
    p = p * r + 1.9841269841269841e-04;
    p = p * r + 1.3888888888888889e-03;
    p = p * r + 8.3333333333333333e-03;
    p = p * r + 4.1666666666666667e-02;
    p = p * r + 1.6666666666666667e-01;
    return p * r + 0.5;
}

FK_INLINE double fk_exp(double x) {
    double clamped = x < -746.0 ? -746.0 : (x > 710.0 ? 710.0 : x);
    double shifted = clamped * 1.44269504088896338700e+00 + 0x1.8p52; /* the low bits hold the nearest integer */
    double k = shifted - 0x1.8p52;
    double hi = clamped - k * FK_LN2_HI, lo = k * FK_LN2_LO, r = hi - lo;
    double y = 1.0 + (hi + (fk_exp_tail(r) * r * r - lo));
    /* 2^k in two factors, since 2^-1074 and 2^1024 are not normal numbers: 0 and infinity come of themselves, and so
     * does NaN */
    uint64_t whole = fk_bits(shifted) - fk_bits(0x1.8p52), half = ((whole + 2048) >> 1) - 1024, rest = whole - half;
    return y * fk_double((half + 1023) << 52) * fk_double((rest + 1023) << 52);
}

/* exp(x) for x <= 700, 1e-304 below -700, which is 0 beside any other term: one power of two, no special values but
 * NaN. */
FK_INLINE double fk_exp_regular(double x) {
    double clamped = x < -700.0 ? -700.0 : x;
    double shifted = clamped * 1.44269504088896338700e+00 + 0x1.8p52;
    double k = shifted - 0x1.8p52, hi = clamped - k * FK_LN2_HI, lo = k * FK_LN2_LO, r = hi - lo;
    return (1.0 + (hi + (fk_exp_tail(r) * r * r - lo))) * fk_double((fk_bits(shifted) + 1023) << 52);
}

#endif
