/* Poisson distribution in saddle-point form (fk_counts.h). Statistics: weight, mean, deviance of the counts about their
 * mean, and the part of log x! that no rate enters; the log-likelihood at any rate is -deviance - weight D(mean, rate)
 * - normaliser. */
#ifndef FK_FAMILY_POISSON_H
#define FK_FAMILY_POISSON_H

#include "fk_counts.h"
#include "fk_moments.h"

enum { POISSON_WEIGHT, POISSON_MEAN, POISSON_DEVIANCE, POISSON_NORMALISER, POISSON_STATISTICS };

FK_INLINE void poisson_statistics_body(const double *x, const double *w, ptrdiff_t n, double *record) {
    double weight, deviance = 0.0, normaliser = 0.0, mean = fk_mean_body(x, w, n, &weight);
    const fk_rate m = fk_make_rate(mean);
    FK_SIMD_SUM(deviance, normaliser) for (ptrdiff_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1.0;
        fk_count_terms t = fk_terms_of_count(x[i] > 0.0 ? x[i] : 1.0, m);
        deviance += wi * (x[i] > 0.0 ? t.deviance : mean);
        normaliser += wi * (x[i] > 0.0 ? t.normaliser : 0.0);
    }
    record[POISSON_WEIGHT] = weight;
    record[POISSON_MEAN] = mean;
    record[POISSON_DEVIANCE] = deviance;
    record[POISSON_NORMALISER] = normaliser;
}

static FK_CLONES void poisson_statistics(const double *x, const double *w, ptrdiff_t n, double *record) {
    if (w) poisson_statistics_body(x, w, n, record);
    else poisson_statistics_body(x, NULL, n, record);
}

static void poisson_merge(double *into, const double *from) {
    fk_merge_counts(into + POISSON_WEIGHT, into + POISSON_MEAN, into + POISSON_DEVIANCE, from[POISSON_WEIGHT],
                    from[POISSON_MEAN], from[POISSON_DEVIANCE]);
    into[POISSON_NORMALISER] += from[POISSON_NORMALISER];
}

static FK_CLONES void poisson_log_density(const double *FK_RESTRICT x, ptrdiff_t n, const double *FK_RESTRICT c,
                                          double *FK_RESTRICT out) {
    fk_poisson_body(x, n, c[0], -c[0], 0.0, out);
}

static const fk_column_kernel fk_kernel_poisson = {
    .name = "poisson",
    .n_statistics = POISSON_STATISTICS,
    .n_constants = 1,
    .statistics = poisson_statistics,
    .merge = poisson_merge,
    .log_density = poisson_log_density,
};

#endif
