/* Logistic law: log p(x) = -z - 2 log(1 + exp(-z)) - log(scale), z = (x - loc) / scale. */
#ifndef FK_FAMILY_LOGISTIC_H
#define FK_FAMILY_LOGISTIC_H

#include "fk_location_scale.h"

#define logistic_terms fk_logistic_terms
FK_DEFINE_LOCATION_SCALE(logistic)

#endif
