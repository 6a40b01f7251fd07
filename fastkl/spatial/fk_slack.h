/* When two distances are equal: where they agree to this relative difference, far above the rounding of a distance. It is the
 * one place: searches, counts in balls and the divergences (as RELATIVE_SLACK) go by it. */
#ifndef FK_SLACK_H
#define FK_SLACK_H

#define FK_RELATIVE_SLACK 1e-12
#define FK_NEARER (1.0 - FK_RELATIVE_SLACK)
#define FK_NOT_FARTHER (1.0 + FK_RELATIVE_SLACK)

#endif
