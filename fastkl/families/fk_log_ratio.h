/* log(x / origin) with a relative error of a few roundings everywhere, x near the origin included: there the logarithm is taken of
 * 1 + u with u = (x - origin) / origin, whose numerator is exact. A power (x / origin)^shape then keeps its digits for shapes up to 1e6
 * and more, where rounding x / origin alone would cost shape roundings.
 */
#ifndef FK_LOG_RATIO_H
#define FK_LOG_RATIO_H

#include "fk_math.h"

#define FK_TINY 0x1p-500 /* below it x is scaled up, so that x / origin keeps its digits */
#define FK_TINY_LOG (-500.0 * 0.693147180559945309417)

FK_INLINE double fk_log_ratio(double x, double origin, double inverse) {
    double u = (x - origin) * inverse;
    int near = (u > -0.5) & (u < 1.0), tiny = (x < FK_TINY) & !near;
    double w = near ? 1.0 + u : (tiny ? x * 0x1p500 : x) * inverse;
    double lost = near ? (u - (w - 1.0)) / w : 0.0; /* what rounding 1 + u to w took away */
    double y = fk_log(w) + lost;
    return tiny ? y + FK_TINY_LOG : y;
}

/* phi(u) = u - log(1 + u) >= 0 at u = x / origin - 1, given log(x / origin). */
FK_INLINE double fk_phi(double u, double log_ratio) {
    double half_square = 0.5 * u * u;
    double near = half_square - fk_log_tail(u, half_square);
    return u > -0.25 && u < 0.4 ? near : u - log_ratio;
}

#endif
