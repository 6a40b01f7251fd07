/* Search for nearest neighbours: blocks of sixteen queries walk the tree together, nearest branch first.
 *
 * A branch is left out when its box is farther from the queries' box than the farthest of their k-th best. A search within one
 * sample starts at the queries' own leaves, so that the limits are tight from the beginning. One block walks alone where boxes
 * rule out much; where they rule out little, several do, so that a leaf comes from memory once for all of them.
 */
#ifndef FK_KNN_H
#define FK_KNN_H

#include "fk_leaf.h"
#include "fk_nearest.h"

#define FK_GROUP 4                   /* rows looked at together: leaves hold a multiple of it */
#define FK_TOGETHER 8                /* blocks that walk together where boxes rule out little */
#define FK_OWN (-1)                  /* in place of a leaf's number: the own leaf of each block */

typedef struct {
    const fk_tree *queries, *tree;
    ptrdiff_t k;
    int self;                        /* both are one: a row is not its own neighbour */
    int only_last;                   /* only the k-th distance is wanted */
    int in_order;                    /* results by position, not by row */
    ptrdiff_t first;                 /* the position whose result comes first, with in_order */
    double scale;                    /* 1, or a power of two for the direct differences of extreme values */
    double *out;                     /* (n, k) or (n); n from `first` on */
} fk_knn_job;

/* A block of queries and what it has found. */
typedef struct {
    fk_block block;
    double *best;                    /* (k + 1, FK_LANES) */
    double limit[FK_LANES];          /* the k-th best of each lane */
    double farthest;                 /* the greatest of them */
} fk_knn_state;

/* The blocks that walk together, and the memory that they use in turn. */
typedef struct {
    fk_knn_state *states;
    int used;
    double *low, *high;              /* (d) the box around all their queries */
    double farthest;                 /* the greatest limit of all */
    fk_view view;
    double *gathered;                /* (d, leaf) */
    float *bracket;                  /* (FK_LANES, leaf) */
} fk_knn_group;

/* Takes one candidate for each lane into the lists, where it is near enough. */
FK_INLINE void fk_knn_take(fk_knn_state *state, ptrdiff_t k, const double *found) {
    if (k <= FK_CHAIN) {
        fk_chain(state->best, k, found);
        for (int l = 0; l < FK_LANES; l++) state->limit[l] = state->best[k * FK_LANES + l];
    } else {
        for (int l = 0; l < FK_LANES; l++)
            if (found[l] < state->limit[l]) state->limit[l] = fk_take(state->best, k, l, found[l]);
    }
}

/* Few lanes are near the leaf: each alone against its rows. */
FK_INLINE void fk_knn_single(const fk_knn_job *job, fk_knn_state *state, ptrdiff_t leaf, const double *points, int lane,
                             ptrdiff_t d, double scale) {
    ptrdiff_t size = job->tree->leaf, own = job->self ? state->block.position[lane] - leaf * size : -1;
    double found[FK_LANES], limit = state->limit[lane];
    for (ptrdiff_t i = 0; i < size; i += FK_LANES) {
        double spare = 0.0;
        fk_direct(points + i, size, state->block.x + lane, FK_LANES, d, scale, found);
        FK_PRAGMA(omp simd reduction(max : spare))
        for (int l = 0; l < FK_LANES; l++) spare = limit - found[l] > spare ? limit - found[l] : spare;
        if (!(spare > 0.0)) continue;
        for (int l = 0; l < FK_LANES; l++)
            if (found[l] < limit && i + l != own) limit = fk_take(state->best, job->k, lane, found[l]);
    }
    state->limit[lane] = limit;
}

FK_INLINE void fk_knn_direct(const fk_knn_job *job, fk_knn_group *group, fk_knn_state *state, ptrdiff_t leaf, ptrdiff_t d,
                             double scale) {
    const fk_tree *tree = job->tree;
    ptrdiff_t size = tree->leaf, start = leaf * size, k = job->k;
    ptrdiff_t n = fk_positions_end(tree, leaf + 1) - start;
    int lanes[FK_LANES + 1], count = fk_active(tree, &state->block, leaf, d, scale, state->limit, lanes);
    if (count == 0) return;
    const double *points = fk_leaf_points(tree, leaf, group->gathered);
    if (count <= FK_FEW) {
        for (int c = 0; c < count; c++) fk_knn_single(job, state, leaf, points, lanes[c], d, scale);
        state->farthest = fk_largest(state->limit);
        return;
    }
    const ptrdiff_t *position = state->block.position;
    int own = job->self && position[0] < start + size && position[FK_LANES - 1] >= start;
    double found[FK_GROUP][FK_LANES];
    for (ptrdiff_t i = 0; i < n; i += FK_GROUP) {
        double spare = 0.0;
        for (int g = 0; g < FK_GROUP; g++) {
            fk_direct(state->block.x, FK_LANES, points + i + g, size, d, scale, found[g]);
            if (own)
                for (int l = 0; l < FK_LANES; l++) found[g][l] = position[l] == start + i + g ? INFINITY : found[g][l];
        }
        FK_PRAGMA(omp simd reduction(max : spare))
        for (int l = 0; l < FK_LANES; l++) {
            double least = found[0][l];
            for (int g = 1; g < FK_GROUP; g++) least = found[g][l] < least ? found[g][l] : least;
            spare = state->limit[l] - least > spare ? state->limit[l] - least : spare;
        }
        if (spare > 0.0)
            for (int g = 0; g < FK_GROUP; g++) fk_knn_take(state, k, found[g]);
    }
    state->farthest = fk_largest(state->limit);
}

/* Looks at those rows of a pass that the brackets of one lane could not rule out. */
FK_INLINE void fk_knn_verify(const fk_knn_job *job, fk_knn_state *state, ptrdiff_t start, int lane, uint32_t passed,
                             ptrdiff_t d) {
    for (; passed; passed &= passed - 1) {
        ptrdiff_t position = start + fk_lowest_bit(passed);
        if (position >= job->tree->n || (job->self && position == state->block.position[lane])) continue;
        double found = fk_exact(job->tree, position, state->block.rows + lane * d, d);
        if (found < state->limit[lane]) state->limit[lane] = fk_take(state->best, job->k, lane, found);
    }
}

/* While a lane has no k neighbours yet: a threshold that the k largest brackets of the leaf pass, and with them every row that
 * may be among the k nearest. The rows are dealt to as many groups as a pass has; k different groups have a bracket as large as
 * the k-th largest of their maxima. */
FK_INLINE float fk_first_threshold(const float *bracket, ptrdiff_t size, ptrdiff_t k, double margin) {
    float most[FK_TILE_ROWS], kth = INFINITY;
    if (k > FK_CHAIN || !(margin < 0x1p60)) return -INFINITY;
    for (int i = 0; i < FK_TILE_ROWS; i++) most[i] = -INFINITY;
    for (ptrdiff_t i0 = 0; i0 < size; i0 += FK_TILE_ROWS)
        FK_SIMD
        for (int i = 0; i < FK_TILE_ROWS; i++) most[i] = bracket[i0 + i] > most[i] ? bracket[i0 + i] : most[i];
    for (ptrdiff_t j = 0; j < k; j++) {  /* equal maxima leave together: the threshold only gets lower by that */
        kth = -INFINITY;
        FK_PRAGMA(omp simd reduction(max : kth))
        for (int i = 0; i < FK_TILE_ROWS; i++) kth = most[i] > kth ? most[i] : kth;
        FK_SIMD
        for (int i = 0; i < FK_TILE_ROWS; i++) most[i] = most[i] < kth ? most[i] : -INFINITY;
    }
    return (float)(kth - 2.001 * margin - fabs(kth) * 0x1p-22);
}

FK_INLINE void fk_knn_preselected(const fk_knn_job *job, fk_knn_group *group, fk_knn_state *state, ptrdiff_t leaf,
                                  ptrdiff_t d) {
    const fk_tree *tree = job->tree;
    ptrdiff_t size = tree->leaf, start = leaf * size;
    int lanes[FK_LANES + 1], count = fk_active(tree, &state->block, leaf, d, 1.0, state->limit, lanes);
    float threshold[FK_LANES];
    uint32_t passed[FK_LANES * FK_PASSES];
    if (count == 0) return;
    fk_view_leaf(tree, &state->block, leaf, d, &group->view);
    fk_thresholds(&group->view, state->limit, d, 1.0, threshold);
    fk_to_front(group->view.x, d, count, lanes);
    fk_to_front(threshold, 1, count, lanes);
    fk_brackets(group->view.x, count, tree->near_points + start * d, tree->half_norm + start, size, d, threshold,
                group->bracket, passed);
    for (int q = 0; q < count; q++) {
        int lane = lanes[q], first = state->limit[lane] == INFINITY;
        ptrdiff_t own = job->self ? state->block.position[lane] - start : -1;
        float *bracket = group->bracket + q * size, least = 0.0f;
        if (first && own >= 0 && own < size) bracket[own] = -INFINITY;
        if (first) least = fk_first_threshold(bracket, size, job->k, group->view.margin[lane]);
        for (ptrdiff_t i = 0; i < size; i += FK_TILE_ROWS)
            fk_knn_verify(job, state, start + i, lane,
                          first ? fk_passed(bracket + i, least) : passed[q * FK_PASSES + i / FK_TILE_ROWS], d);
    }
    state->farthest = fk_largest(state->limit);
}

FK_INLINE void fk_knn_leaf(const fk_knn_job *job, fk_knn_group *group, fk_knn_state *state, ptrdiff_t leaf, ptrdiff_t d,
                           int preselect, double scale) {
    if (preselect) fk_knn_preselected(job, group, state, leaf, d);
    else fk_knn_direct(job, group, state, leaf, d, scale);
}

/* The leaf in which a block's search starts, or -1: its own, or the only one. */
FK_INLINE ptrdiff_t fk_knn_first(const fk_knn_job *job, const fk_knn_state *state) {
    if (job->tree->n_nodes == 0) return 0;
    return job->self ? state->block.position[0] / job->tree->leaf : -1;
}

typedef struct { double distance; int32_t node, leaf; } fk_knn_visit; /* a node, or a leaf where node = -1 */

/* Puts the children that are near enough on the stack, the nearest on top; returns its new height. */
FK_INLINE int fk_knn_push(const fk_tree *tree, const fk_knn_group *group, ptrdiff_t node, ptrdiff_t d, double scale,
                          fk_knn_visit *stack, int height) {
    const int32_t *first = tree->first + node * (FK_CHILDREN + 1), *child = tree->child + node * FK_CHILDREN;
    double distance[FK_CHILDREN];
    int base = height;
    fk_box_distances(tree, group->low, group->high, node, d, scale, distance);
    for (int i = 0; i < FK_CHILDREN; i++) {
        if (distance[i] > group->farthest || first[i] == first[i + 1]) continue;
        fk_knn_visit visit = {distance[i], first[i + 1] - first[i] == 1 ? -1 : child[i], first[i]};
        int at = height++;
        for (; at > base && stack[at - 1].distance < visit.distance; at--) stack[at] = stack[at - 1];
        stack[at] = visit;
    }
    return height;
}

FK_INLINE double fk_knn_farthest(const fk_knn_group *group) {
    double farthest = 0.0;
    for (int b = 0; b < group->used; b++)
        farthest = group->states[b].farthest > farthest ? group->states[b].farthest : farthest;
    return farthest;
}

/* The blocks' own leaves first, then the tree from its root. Leaves are searched at one place, because that search is inlined and
 * large: a second copy of it would double each clone. */
FK_INLINE void fk_knn_walk(const fk_knn_job *job, fk_knn_group *group, ptrdiff_t d, int preselect, double scale) {
    const fk_tree *tree = job->tree;
    fk_knn_visit stack[FK_STACK];
    int height = 0;
    group->farthest = INFINITY;
    if (tree->n_nodes) stack[height++] = (fk_knn_visit){0.0, 0, 0};
    stack[height++] = (fk_knn_visit){0.0, -1, FK_OWN};
    while (height > 0) {
        fk_knn_visit visit = stack[--height];
        if (visit.distance > group->farthest) continue;
        if (visit.node >= 0) {
            height = fk_knn_push(tree, group, visit.node, d, scale, stack, height);
            continue;
        }
        for (int b = 0; b < group->used; b++) {
            ptrdiff_t own = fk_knn_first(job, group->states + b), leaf = visit.leaf == FK_OWN ? own : visit.leaf;
            if (visit.leaf == FK_OWN ? own < 0 : leaf == own) continue;
            fk_knn_leaf(job, group, group->states + b, leaf, d, preselect, scale);
        }
        group->farthest = fk_knn_farthest(group);
    }
}

FK_INLINE void fk_knn_store(const fk_knn_job *job, fk_knn_state *state) {
    ptrdiff_t k = job->k;
    double back = 1.0 / job->scale;
    for (int l = 0; l < state->block.used; l++) {
        ptrdiff_t position = state->block.position[l];
        ptrdiff_t row = job->in_order ? position - job->first : job->queries->order[position];
        if (job->only_last) {
            job->out[row] = sqrt(state->limit[l]) * back;
            continue;
        }
        if (k > FK_CHAIN) fk_heap_sort(state->best + l * k, k);
        for (ptrdiff_t j = 0; j < k; j++)
            job->out[row * k + j] = sqrt(k > FK_CHAIN ? state->best[l * k + j] : state->best[(j + 1) * FK_LANES + l]) * back;
    }
}

FK_INLINE void fk_knn_load(const fk_knn_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end, int by_rows,
                           fk_knn_group *group, fk_knn_state *state) {
    ptrdiff_t d = job->tree->d;
    fk_load_block(job->queries, positions, start, end, by_rows, &state->block);
    fk_clear(state->best, job->k);
    for (int l = 0; l < FK_LANES; l++) state->limit[l] = INFINITY;
    state->farthest = INFINITY;
    for (ptrdiff_t j = 0; j < d; j++) {
        double low = state->block.low[j], high = state->block.high[j];
        group->low[j] = state == group->states || low < group->low[j] ? low : group->low[j];
        group->high[j] = state == group->states || high > group->high[j] ? high : group->high[j];
    }
}

/* All queries at the positions [start, end), or at the listed ones; `together` blocks at a time. */
FK_INLINE int fk_knn_range(const fk_knn_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end, ptrdiff_t d,
                           int preselect, double scale, int together) {
    fk_knn_group group;
    fk_knn_state states[FK_TOGETHER];
    ptrdiff_t size = job->tree->leaf, columns = job->tree->d, lists = (job->k + 1) * FK_LANES;
    ptrdiff_t of_state = columns * (2 * FK_LANES + 2) + lists, of_gathered = preselect || job->tree->points ? 0 : columns * size;
    size_t doubles = (size_t)(together * of_state + 2 * columns + of_gathered);
    double *memory = malloc(doubles * sizeof(double) + (size_t)(columns * FK_LANES + FK_LANES * size) * sizeof(float));
    if (!memory) return 1;
    for (int b = 0; b < together; b++) {
        states[b].block.x = memory + b * of_state;
        states[b].block.rows = states[b].block.x + columns * FK_LANES;
        states[b].block.low = states[b].block.rows + columns * FK_LANES;
        states[b].block.high = states[b].block.low + columns;
        states[b].best = states[b].block.high + columns;
        states[b].farthest = INFINITY;
    }
    group.states = states;
    group.low = memory + together * of_state;
    group.high = group.low + columns;
    group.gathered = group.high + columns;
    group.view.x = (float *)(memory + doubles);
    group.bracket = group.view.x + columns * FK_LANES;
    for (ptrdiff_t at = start; at < end; at += together * FK_LANES) {
        ptrdiff_t blocks = (end - at + FK_LANES - 1) / FK_LANES;
        group.used = blocks < together ? (int)blocks : together;
        for (int b = 0; b < group.used; b++)
            fk_knn_load(job, positions, at + b * FK_LANES, end, preselect, &group, states + b);
        fk_knn_walk(job, &group, d, preselect, scale);
        for (int b = 0; b < group.used; b++) fk_knn_store(job, states + b);
    }
    free(memory);
    return 0;
}

#define FK_KNN(CLONES, NAME, D, PRESELECT, SCALE, TOGETHER)                                                                \
    CLONES static int NAME(const fk_knn_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {              \
        return fk_knn_range(job, positions, start, end, D, PRESELECT, SCALE, TOGETHER);                                    \
    }

FK_KNN(FK_CLONES_256, fk_knn_2, 2, 0, 1.0, 1)
FK_KNN(FK_CLONES_256, fk_knn_3, 3, 0, 1.0, 1)
FK_KNN(FK_CLONES_256, fk_knn_4, 4, 0, 1.0, 1)
FK_KNN(FK_CLONES, fk_knn_5, 5, 0, 1.0, 1)
FK_KNN(FK_CLONES, fk_knn_6, 6, 0, 1.0, 1)
FK_KNN(FK_CLONES, fk_knn_8, 8, 1, 1.0, 1)
FK_KNN(FK_CLONES, fk_knn_10, 10, 1, 1.0, 1)
FK_KNN(FK_CLONES_256, fk_knn_direct_any, job->tree->d, 0, job->scale, 1)
FK_KNN(FK_CLONES, fk_knn_preselected_any, job->tree->d, 1, 1.0, 1)
FK_KNN(FK_CLONES, fk_knn_together, job->tree->d, 1, 1.0, FK_TOGETHER)

/* 0, or 1 when memory is short. */
static int fk_knn(const fk_knn_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {
    if (job->scale != 1.0) return fk_knn_direct_any(job, positions, start, end);
    if (job->tree->near_points) {
        if (job->tree->d == 8) return fk_knn_8(job, positions, start, end);
        if (job->tree->d == 10) return fk_knn_10(job, positions, start, end);
        if (job->tree->together) return fk_knn_together(job, positions, start, end);
        return fk_knn_preselected_any(job, positions, start, end);
    }
    switch (job->tree->d) {
        case 2: return fk_knn_2(job, positions, start, end);
        case 3: return fk_knn_3(job, positions, start, end);
        case 4: return fk_knn_4(job, positions, start, end);
        case 5: return fk_knn_5(job, positions, start, end);
        case 6: return fk_knn_6(job, positions, start, end);
        default: return fk_knn_direct_any(job, positions, start, end);
    }
}

#endif
