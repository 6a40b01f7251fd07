/* phi(u) = u - log(1 + u), what is left of many log-densities once their large terms have cancelled. */
#ifndef FK_LOG_PHI_H
#define FK_LOG_PHI_H

#include "fk_math.h"

typedef struct {
    double log, phi;
} fk_log_phi;

/* log(1 + u) and phi(u), given u and ratio = (1 + u) 2^-shift, both to all their digits. One argument reduction ratio = 2^k
 * (1 + f) serves both: where k + shift = 0, f is u but for its rounding and is replaced by it, elsewhere phi is at least
 * .04. */
FK_INLINE fk_log_phi fk_log_and_phi(double ratio, double u, double shift) {
    double f, k = fk_split(ratio, &f) + shift;
    f = k == 0.0 ? u : f;
    double half_square = 0.5 * f * f, tail = fk_log_tail(f, half_square);
    double log = k * FK_LN2_HI - ((half_square - (tail + k * FK_LN2_LO)) - f);
    return (fk_log_phi){log, k == 0.0 ? half_square - tail : u - log};
}

#endif
