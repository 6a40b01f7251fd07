/* Log-logistic law: log x is logistic about log(scale) with scale 1 / shape. */
#ifndef FK_FAMILY_LOGLOGISTIC_H
#define FK_FAMILY_LOGLOGISTIC_H

#include "fk_location_scale.h"

#define loglogistic_terms fk_logistic_terms
FK_DEFINE_LOG_LOCATION_SCALE(loglogistic)

#endif
