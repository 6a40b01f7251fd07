/* log(x / origin) with a relative error of a few roundings everywhere, x near the origin included: there the logarithm is
 * taken of 1 + u with u = (x - origin) / origin, whose numerator is exact. A power (x / origin)^shape then keeps its digits for
 * shapes up to 1e6 and more, where rounding x / origin alone would cost shape roundings.
 */
#ifndef FK_LOG_RATIO_H
#define FK_LOG_RATIO_H

#include "fk_math.h"

/* condition ? a : b by bits: no compiler makes a branch of it, which would keep the loop from becoming a vector loop. */
FK_INLINE double fk_select(int condition, double a, double b) {
    uint64_t mask = -(uint64_t)(condition != 0);
    return fk_double((fk_bits(a) & mask) | (fk_bits(b) & ~mask));
}

/* x inverse = 2^shift times what is returned, which neither overflows nor loses digits; shift is 0 but for wide ratios. */
FK_INLINE double fk_shifted_ratio(double x, double inverse, double *shift) {
    double ratio = x * inverse;
    int small = ratio < 0x1p-1000, large = ratio > 0x1p1000;
    double factor = fk_select(small, 0x1p550, fk_select(large, 0x1p-550, 1.0));
    *shift = fk_select(small, -1100.0, fk_select(large, 1100.0, 0.0));
    return (x * factor) * (inverse * factor);
}

FK_INLINE double fk_log_ratio(double x, double origin, double inverse) {
    double u = (x - origin) * inverse, sum = 1.0 + u, shift, far = fk_shifted_ratio(x, inverse, &shift);
    int near = (u > -0.5) & (u < 1.0);
    /* what rounding 1 + u took away, over 1 + u, for which a parabola is near enough */
    double lost = (u - (sum - 1.0)) * (3.5 - sum * (3.5 - sum));
    return fk_log(fk_select(near, sum, far)) + fk_select(near, lost, shift * 0.693147180559945309417);
}

/* log(1 + e) for 0 <= e <= 1: no exponent to split off but a possible factor 2, and no rounding of 1 + e to make good. */
FK_INLINE double fk_log1p_unit(double e) {
    int upper = e > 0.41421356237309503;
    double f = fk_select(upper, 0.5 * (e - 1.0), e), half_square = 0.5 * f * f;
    double y = fk_log_tail(f, half_square) + fk_select(upper, FK_LN2_LO, 0.0);
    return fk_select(upper, FK_LN2_HI, 0.0) - ((half_square - y) - f);
}

#endif
