/* Gumbel distribution of maxima: log p(x) = -z - exp(-z) - log(scale), z = (x - loc) / scale. */
#ifndef FK_FAMILY_GUMBEL_H
#define FK_FAMILY_GUMBEL_H

#include "fk_location_scale.h"

FK_INLINE double gumbel_terms(double z, double *psi, double *slope) {
    double e = fk_exp(-z);
    *psi = e - 1.0;
    *slope = -e;
    return fk_select(e < INFINITY, -z - e, -INFINITY); /* z may be -inf */
}
FK_DEFINE_LOCATION_SCALE(gumbel)

#endif
