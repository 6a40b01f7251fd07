/* Rows, or their weights, in the closed ball around each query: sixteen queries walk the tree together.
 *
 * A lane leaves a branch as soon as its box is wholly outside the ball, or wholly inside: then it takes the branch's total. A
 * search within one sample goes down to the leaf that holds the query, so that the row itself is left out by its position and
 * never subtracted. The ball's radius has a relative slack of 1e-12, far above the rounding of a distance.
 */
#ifndef FK_COUNT_H
#define FK_COUNT_H

#include "fk_leaf.h"

#define FK_SLACK (1.0 + 1e-12)
#define FK_OUT (-1.0)                /* the reach of a lane that is done with a branch */

typedef struct {
    const fk_tree *queries, *tree;
    int self;                        /* both are one: a row is not in its own ball */
    int in_order;                    /* radius and result by position, not by row */
    double scale;                    /* 1, or a power of two for the direct differences of extreme values */
    const double *radius;            /* (n) */
    const double *weight;            /* (m) by position in the tree, or NULL to count */
    const double *total;             /* (2 n_leaves - 1) weight of each node, or NULL */
    int64_t *count;                  /* (n) the result without weights */
    double *sum;                     /* (n) the result with weights */
} fk_count_job;

typedef struct { fk_branch branch; double reach[FK_LANES]; } fk_visit; /* squared radii, FK_OUT where done */

typedef struct {
    fk_block block;
    fk_view view;
    int64_t count[FK_LANES];
    double sum[FK_LANES];
    double *rows, *gathered;         /* (FK_LANES, d) the queries by rows; (d, leaf) */
    float *bracket;                  /* (FK_TILE, leaf) */
} fk_count_state;

/* Whether one of the queries sits in the branch. */
FK_INLINE int fk_holds(const fk_tree *tree, const fk_block *block, fk_branch b) {
    ptrdiff_t start = b.first * tree->leaf, end = b.last * tree->leaf;
    int holds = 0;
    for (int l = 0; l < FK_LANES; l++) holds |= block->position[l] >= start && block->position[l] < end;
    return holds;
}

/* Settles the lanes that a branch is wholly outside or inside of; returns whether any is left, with its reach in `left`. */
FK_INLINE int fk_settle(const fk_count_job *job, fk_count_state *state, fk_branch b, const double *reach, double *left,
                        ptrdiff_t d, double scale, int weighted) {
    const fk_tree *tree = job->tree;
    const double *low = tree->low + b.node * d, *high = tree->high + b.node * d;
    double near[FK_LANES] = {0.0}, far[FK_LANES] = {0.0}, most = FK_OUT;
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *x = state->block.x + j * FK_LANES;
        double low_j = low[j], high_j = high[j];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double below = (low_j - x[l]) * scale, above = (x[l] - high_j) * scale;
            double gap = below > above ? below : above, span = below < above ? below : above;
            gap = gap > 0.0 ? gap : 0.0;
            near[l] += gap * gap;
            far[l] += span * span;
        }
    }
    int whole = !(job->self && fk_holds(tree, &state->block, b));
    double weight = weighted ? job->total[b.node] : 0.0;
    int64_t rows = fk_positions_end(tree, b.last) - b.first * tree->leaf;
    for (int l = 0; l < FK_LANES; l++) {
        int outside = near[l] * FK_LESS > reach[l], inside = !outside && whole && far[l] * FK_MORE <= reach[l];
        left[l] = outside || inside ? FK_OUT : reach[l];
        if (weighted) state->sum[l] += inside ? weight : 0.0;
        else state->count[l] += inside ? rows : 0;
        most = left[l] > most ? left[l] : most;
    }
    return most >= 0.0;
}

FK_INLINE void fk_count_direct(const fk_count_job *job, fk_count_state *state, fk_branch b, const double *reach,
                               ptrdiff_t d, double scale, int weighted) {
    const fk_tree *tree = job->tree;
    const double *points = fk_leaf_points(tree, b.first, state->gathered);
    ptrdiff_t size = tree->leaf, start = b.first * size, n = fk_positions_end(tree, b.last) - start;
    int own = job->self && fk_holds(tree, &state->block, b);
    for (ptrdiff_t i = 0; i < n; i++) {
        double found[FK_LANES], weight = weighted ? job->weight[start + i] : 0.0;
        fk_direct(state->block.x, FK_LANES, points + i, size, d, scale, found);
        if (own)
            for (int l = 0; l < FK_LANES; l++) found[l] = state->block.position[l] == start + i ? NAN : found[l];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            if (weighted) state->sum[l] += found[l] <= reach[l] ? weight : 0.0;
            else state->count[l] += found[l] <= reach[l];
        }
    }
}

/* Takes the rows of one pass that are in the ball of one lane: above `inside` for sure, below `outside` not. */
FK_INLINE void fk_count_verify(const fk_count_job *job, fk_count_state *state, ptrdiff_t start, int lane,
                               const float *bracket, float outside, float inside, double reach, int weighted) {
    int row[FK_TILE_ROWS], passing = 0;
    for (int i = 0; i < FK_TILE_ROWS; i++) {
        row[passing] = i;
        passing += !(bracket[i] < outside);
    }
    for (int c = 0; c < passing; c++) {
        ptrdiff_t position = start + row[c];
        if (position >= job->tree->n || (job->self && position == state->block.position[lane])) continue;
        if (!(bracket[row[c]] > inside) && fk_exact(job->tree, position, state->rows + lane * job->tree->d) > reach) continue;
        if (weighted) state->sum[lane] += job->weight[position];
        else state->count[lane]++;
    }
}

FK_INLINE void fk_count_preselected(const fk_count_job *job, fk_count_state *state, fk_branch b, const double *reach,
                                    int weighted) {
    const fk_tree *tree = job->tree;
    ptrdiff_t size = tree->leaf, d = tree->d, start = b.first * size;
    int lanes[FK_LANES + FK_TILE], count = 0;
    for (int l = 0; l < state->block.used; l++)
        if (reach[l] >= 0.0) lanes[count++] = l;
    if (count == 0) return;
    for (int q = 0; q < FK_TILE; q++) lanes[count + q] = lanes[count - 1];
    fk_view_leaf(tree, &state->block, b, &state->view);
    for (int t = 0; t < count; t += FK_TILE) {
        float outside[FK_TILE];
        uint32_t passed[FK_TILE];
        for (int q = 0; q < FK_TILE; q++) outside[q] = fk_threshold(&state->view, lanes[t + q], d, reach[lanes[t + q]], 1.0);
        fk_brackets(state->view.x, lanes + t, tree->near_points + start * d, tree->half_norm + start, size, d, outside,
                    state->bracket, passed);
        for (int q = 0; q < FK_TILE && t + q < count; q++) {
            int lane = lanes[t + q];
            float inside = fk_threshold(&state->view, lane, d, reach[lane], -1.0);
            for (ptrdiff_t i = 0; passed[q]; i += FK_TILE_ROWS, passed[q] >>= 1)
                if (passed[q] & 1)
                    fk_count_verify(job, state, start + i, lane, state->bracket + q * size + i, outside[q], inside,
                                    reach[lane], weighted);
        }
    }
}

FK_INLINE void fk_count_walk(const fk_count_job *job, fk_count_state *state, const double *reach, ptrdiff_t d,
                             int preselect, double scale, int weighted) {
    const fk_tree *tree = job->tree;
    fk_visit stack[FK_DEPTH];
    ptrdiff_t height = 0;
    fk_branch root = {0, 0, tree->n_leaves};
    stack[0].branch = root;
    if (fk_settle(job, state, root, reach, stack[0].reach, d, scale, weighted)) height = 1;
    while (height > 0) {
        fk_visit visit = stack[--height];
        fk_branch b = visit.branch;
        if (b.last - b.first == 1) {
            if (preselect) fk_count_preselected(job, state, b, visit.reach, weighted);
            else fk_count_direct(job, state, b, visit.reach, d, scale, weighted);
            continue;
        }
        fk_branch children[2] = {fk_right(b), fk_left(b)};
        for (int c = 0; c < 2; c++) {
            stack[height].branch = children[c];
            height += fk_settle(job, state, children[c], visit.reach, stack[height].reach, d, scale, weighted);
        }
    }
}

/* All queries at the positions [start, end), or at the listed ones. */
FK_INLINE int fk_count_range(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end, ptrdiff_t d,
                             int preselect, double scale, int weighted) {
    fk_count_state state;
    ptrdiff_t size = job->tree->leaf, columns = job->tree->d;
    size_t doubles = (size_t)(columns * (2 * FK_LANES + 2) + (job->tree->points ? 0 : columns * size));
    double *memory = malloc(doubles * sizeof(double) + (size_t)(columns * FK_LANES + FK_TILE * size) * sizeof(float));
    if (!memory) return 1;
    state.block.x = memory;
    state.rows = state.block.x + columns * FK_LANES;
    state.block.low = state.rows + columns * FK_LANES;
    state.block.high = state.block.low + columns;
    state.gathered = state.block.high + columns;
    state.view.x = (float *)(memory + doubles);
    state.bracket = state.view.x + columns * FK_LANES;
    for (ptrdiff_t at = start; at < end; at += FK_LANES) {
        ptrdiff_t row[FK_LANES];
        double reach[FK_LANES];
        fk_load_block(job->queries, positions, at, end, &state.block);
        for (int l = 0; l < FK_LANES; l++) {
            row[l] = job->in_order ? state.block.position[l] : job->queries->order[state.block.position[l]];
            double radius = job->radius[row[l]] * FK_SLACK * scale;
            reach[l] = radius >= 0.0 ? radius * radius : FK_OUT;
            state.count[l] = 0;
            state.sum[l] = 0.0;
            for (ptrdiff_t j = 0; j < d && preselect; j++) state.rows[l * d + j] = state.block.x[j * FK_LANES + l];
        }
        fk_count_walk(job, &state, reach, d, preselect, scale, weighted);
        for (int l = 0; l < state.block.used; l++) {
            if (weighted) job->sum[row[l]] = state.sum[l];
            else job->count[row[l]] = state.count[l];
        }
    }
    free(memory);
    return 0;
}

#define FK_COUNT(NAME, D, PRESELECT, SCALE)                                                                                \
    FK_CLONES static int NAME(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {         \
        return fk_count_range(job, positions, start, end, D, PRESELECT, SCALE, 0);                                         \
    }                                                                                                                      \
    FK_CLONES static int NAME##_weighted(const fk_count_job *job, const int32_t *positions, ptrdiff_t start,               \
                                         ptrdiff_t end) {                                                                  \
        return fk_count_range(job, positions, start, end, D, PRESELECT, SCALE, 1);                                         \
    }

FK_COUNT(fk_count_2, 2, 0, 1.0)
FK_COUNT(fk_count_3, 3, 0, 1.0)
FK_COUNT(fk_count_direct_any, job->tree->d, 0, job->scale)
FK_COUNT(fk_count_preselected_any, job->tree->d, 1, 1.0)

#define FK_COUNT_BY(NAME) (job->weight ? NAME##_weighted : NAME)(job, positions, start, end)

/* 0, or 1 when memory is short. */
static int fk_count(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {
    if (job->scale != 1.0) return FK_COUNT_BY(fk_count_direct_any);
    if (job->tree->near_points) return FK_COUNT_BY(fk_count_preselected_any);
    if (job->tree->d == 2) return FK_COUNT_BY(fk_count_2);
    if (job->tree->d == 3) return FK_COUNT_BY(fk_count_3);
    return FK_COUNT_BY(fk_count_direct_any);
}

/* Weight of every node of a branch, from the leaves up. */
static double fk_total(const fk_tree *tree, const double *weight, fk_branch b, double *total) {
    double sum = 0.0;
    if (b.last - b.first == 1)
        for (ptrdiff_t i = b.first * tree->leaf; i < fk_positions_end(tree, b.last); i++) sum += weight[i];
    else
        sum = fk_total(tree, weight, fk_left(b), total) + fk_total(tree, weight, fk_right(b), total);
    return total[b.node] = sum;
}

#endif
