/* Weibull law: -log x is Gumbel; with z = shape log(x / scale) the density of log x is shape exp(z - exp(z)). */
#ifndef FK_FAMILY_WEIBULL_H
#define FK_FAMILY_WEIBULL_H

#include "fk_location_scale.h"

FK_INLINE double weibull_terms(double z, double *psi, double *slope) {
    double e = fk_exp(z);
    *psi = 1.0 - e;
    *slope = -e;
    return z - e;
}
FK_DEFINE_LOG_LOCATION_SCALE(weibull)

#endif
