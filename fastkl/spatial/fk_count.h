/* Rows, or their weights, in the closed ball around each query: sixteen queries walk the tree together.
 *
 * A lane leaves a branch as soon as its box is wholly outside the ball, or wholly inside: then it takes the branch's total. A
 * search within one sample goes down to the leaf that holds the query, so that the row itself is left out by its position and
 * never subtracted. The ball's radius has a relative slack, FK_NOT_FARTHER.
 */
#ifndef FK_COUNT_H
#define FK_COUNT_H

#include "fk_leaf.h"
#include "fk_slack.h"

#define FK_OUT (-1.0)                /* the reach of a lane that is done with a branch */

typedef struct {
    const fk_tree *queries, *tree;
    int self;                        /* both are one: a row is not in its own ball */
    int in_order;                    /* radius and result by position, not by row */
    ptrdiff_t first;                 /* the position whose radius and result come first, with in_order */
    double scale;                    /* 1, or a power of two for the direct differences of extreme values */
    const double *radius;            /* (n) */
    const double *weight;            /* (m) by position in the tree, or NULL to count */
    const double *total;             /* (n_nodes, FK_CHILDREN) weight of each child, or NULL */
    int64_t *count;                  /* (n) the result without weights */
    double *sum;                     /* (n) the result with weights */
} fk_count_job;

typedef struct { int32_t node, first, last; double reach[FK_LANES]; } fk_count_visit; /* squared radii, FK_OUT where done */

typedef struct {
    fk_block block;
    fk_view view;
    int64_t count[FK_LANES];
    double sum[FK_LANES];
    double *gathered;                /* (d, leaf) */
    float *bracket;                  /* (FK_LANES, leaf) */
} fk_count_state;

/* Whether one of the queries sits in the leaves [first, last). */
FK_INLINE int fk_holds(const fk_tree *tree, const fk_block *block, ptrdiff_t first, ptrdiff_t last) {
    ptrdiff_t start = first * tree->leaf, end = last * tree->leaf;
    int holds = 0;
    for (int l = 0; l < FK_LANES; l++) holds |= block->position[l] >= start && block->position[l] < end;
    return holds;
}

/* Settles the lanes that a box is wholly outside or inside of: its ends are `stride` apart, it holds `rows` rows (none that may
 * be taken whole: -1) of this weight. Returns whether a lane is left; `reach` is then FK_OUT for the others. */
FK_INLINE int fk_settle(fk_count_state *state, const double *low, const double *high, ptrdiff_t stride, int64_t rows,
                        double weight, double *reach, ptrdiff_t d, double scale) {
    double near[FK_LANES] = {0.0}, far[FK_LANES] = {0.0}, most = FK_OUT;
    for (ptrdiff_t j = 0; j < d; j++) {
        const double *x = state->block.x + j * FK_LANES;
        double low_j = low[j * stride], high_j = high[j * stride];
        FK_SIMD
        for (int l = 0; l < FK_LANES; l++) {
            double below = (low_j - x[l]) * scale, above = (x[l] - high_j) * scale;
            double gap = below > above ? below : above, span = below < above ? below : above;
            gap = gap > 0.0 ? gap : 0.0;
            near[l] += gap * gap;
            far[l] += span * span;
        }
    }
    FK_PRAGMA(omp simd reduction(max : most))
    for (int l = 0; l < FK_LANES; l++) {
        int outside = near[l] * FK_LESS > reach[l], inside = rows >= 0 && !outside && far[l] * FK_MORE <= reach[l];
        reach[l] = outside || inside ? FK_OUT : reach[l];
        state->sum[l] += inside ? weight : 0.0;
        state->count[l] += inside ? rows : 0;
        most = reach[l] > most ? reach[l] : most;
    }
    return most >= 0.0;
}

/* Few lanes are left in a leaf: each alone against its rows. */
FK_INLINE void fk_count_single(const fk_count_job *job, fk_count_state *state, ptrdiff_t start, const double *points, int lane,
                               double reach, ptrdiff_t d, double scale, int weighted) {
    ptrdiff_t size = job->tree->leaf, own = job->self ? state->block.position[lane] - start : -1;
    for (ptrdiff_t i = 0; i < size; i += FK_LANES) {
        double found[FK_LANES], sum = 0.0;
        int64_t count = 0;
        fk_direct(points + i, size, state->block.x + lane, FK_LANES, d, scale, found);
        if (own >= i && own < i + FK_LANES) found[own - i] = NAN;
        if (weighted) {
            for (int l = 0; l < FK_LANES; l++)
                if (found[l] <= reach) sum += job->weight[start + i + l];
            state->sum[lane] += sum;
        } else {
            FK_SIMD_SUM(count)
            for (int l = 0; l < FK_LANES; l++) count += found[l] <= reach;
            state->count[lane] += count;
        }
    }
}

FK_INLINE void fk_count_direct(const fk_count_job *job, fk_count_state *state, ptrdiff_t leaf, const double *reach,
                               ptrdiff_t d, double scale, int weighted) {
    const fk_tree *tree = job->tree;
    const double *points = fk_leaf_points(tree, leaf, state->gathered);
    ptrdiff_t size = tree->leaf, start = leaf * size, n = fk_positions_end(tree, leaf + 1) - start;
    int own = job->self && fk_holds(tree, &state->block, leaf, leaf + 1), left = 0;
    for (int l = 0; l < FK_LANES; l++) left += reach[l] >= 0.0;
    if (left <= FK_FEW) {
        for (int l = 0; l < FK_LANES; l++)
            if (reach[l] >= 0.0) fk_count_single(job, state, start, points, l, reach[l], d, scale, weighted);
        return;
    }
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

/* Takes the rows of one pass that are in the ball of one lane: brackets above `inside` are so for sure. */
FK_INLINE void fk_count_verify(const fk_count_job *job, fk_count_state *state, ptrdiff_t start, int lane, uint32_t passed,
                               const float *bracket, float inside, double reach, int weighted) {
    for (; passed; passed &= passed - 1) {
        int i = fk_lowest_bit(passed);
        ptrdiff_t position = start + i;
        if (position >= job->tree->n || (job->self && position == state->block.position[lane])) continue;
        const double *x = state->block.rows + lane * job->tree->d;
        if (!(bracket[i] > inside) && fk_exact(job->tree, position, x, job->tree->d) > reach) continue;
        if (weighted) state->sum[lane] += job->weight[position];
        else state->count[lane]++;
    }
}

FK_INLINE void fk_count_preselected(const fk_count_job *job, fk_count_state *state, ptrdiff_t leaf, const double *reach,
                                    int weighted) {
    const fk_tree *tree = job->tree;
    ptrdiff_t size = tree->leaf, d = tree->d, start = leaf * size;
    int lanes[FK_LANES + 1], count = 0;
    float outside[FK_LANES], inside[FK_LANES];
    uint32_t passed[FK_LANES * FK_PASSES];
    for (int l = 0; l < FK_LANES; l++) {
        lanes[count] = l;
        count += reach[l] >= 0.0;
    }
    fk_view_leaf(tree, &state->block, leaf, d, &state->view);
    fk_thresholds(&state->view, reach, d, 1.0, outside);
    fk_thresholds(&state->view, reach, d, -1.0, inside);
    fk_to_front(state->view.x, d, count, lanes);
    fk_to_front(outside, 1, count, lanes);
    fk_brackets(state->view.x, count, tree->near_points + start * d, tree->half_norm + start, size, d, outside, state->bracket,
                passed);
    for (int q = 0; q < count; q++)
        for (ptrdiff_t i = 0; i < size; i += FK_TILE_ROWS)
            fk_count_verify(job, state, start + i, lanes[q], passed[q * FK_PASSES + i / FK_TILE_ROWS],
                            state->bracket + q * size + i, inside[lanes[q]], reach[lanes[q]], weighted);
}

FK_INLINE void fk_count_leaf(const fk_count_job *job, fk_count_state *state, ptrdiff_t leaf, double *reach, ptrdiff_t d,
                             int preselect, double scale, int weighted) {
    const fk_tree *tree = job->tree;
    int64_t rows = job->self && fk_holds(tree, &state->block, leaf, leaf + 1)
                       ? -1 : fk_positions_end(tree, leaf + 1) - leaf * tree->leaf;
    double weight = 0.0;
    for (int64_t i = 0; weighted && i < rows; i++) weight += job->weight[leaf * tree->leaf + i];
    if (!fk_settle(state, tree->low + leaf * d, tree->high + leaf * d, 1, rows, weight, reach, d, scale)) return;
    if (preselect) fk_count_preselected(job, state, leaf, reach, weighted);
    else fk_count_direct(job, state, leaf, reach, d, scale, weighted);
}

/* Puts the children that the balls cut on the stack; returns its new height. Lanes are looked at one by one only where a ball
 * may hold the child whole. */
FK_INLINE int fk_count_push(const fk_count_job *job, fk_count_state *state, fk_count_visit from, ptrdiff_t d, double scale,
                            int weighted, fk_count_visit *stack, int height) {
    const fk_tree *tree = job->tree;
    const int32_t *first = tree->first + from.node * (FK_CHILDREN + 1), *child = tree->child + from.node * FK_CHILDREN;
    const double *low = tree->boxes + from.node * 2 * d * FK_CHILDREN, *high = low + d * FK_CHILDREN;
    double near[FK_CHILDREN], size[FK_CHILDREN] = {0.0}, most = fk_largest(from.reach);
    fk_box_distances(tree, state->block.low, state->block.high, from.node, d, scale, near);
    for (ptrdiff_t j = 0; j < d; j++)
        for (int i = 0; i < FK_CHILDREN; i++) {
            double span = (high[j * FK_CHILDREN + i] - low[j * FK_CHILDREN + i]) * 0.5 * scale;
            size[i] += span * span;
        }
    for (int i = 0; i < FK_CHILDREN; i++) {
        int32_t leaves = first[i + 1] - first[i];
        if (leaves == 0 || near[i] > most) continue;
        fk_count_visit *visit = stack + height;
        *visit = from;
        visit->node = leaves == 1 ? -1 : child[i];
        visit->first = first[i];
        visit->last = first[i + 1];
        if (leaves > 1 && size[i] < most) {
            int64_t rows = job->self && fk_holds(tree, &state->block, first[i], first[i + 1])
                               ? -1 : fk_positions_end(tree, first[i + 1]) - first[i] * tree->leaf;
            double weight = weighted ? job->total[from.node * FK_CHILDREN + i] : 0.0;
            if (!fk_settle(state, low + i, high + i, FK_CHILDREN, rows, weight, visit->reach, d, scale)) continue;
        }
        height++;
    }
    return height;
}

FK_INLINE void fk_count_walk(const fk_count_job *job, fk_count_state *state, double *reach, ptrdiff_t d, int preselect,
                             double scale, int weighted) {
    fk_count_visit stack[FK_STACK], visit = {job->tree->n_nodes ? 0 : -1, 0, 1, {0.0}};
    int height = 0;
    memcpy(visit.reach, reach, sizeof visit.reach);
    for (;;) {
        if (visit.node >= 0) height = fk_count_push(job, state, visit, d, scale, weighted, stack, height);
        else fk_count_leaf(job, state, visit.first, visit.reach, d, preselect, scale, weighted);
        if (height == 0) return;
        visit = stack[--height];
    }
}

/* All queries at the positions [start, end), or at the listed ones. */
FK_INLINE int fk_count_range(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end, ptrdiff_t d,
                             int preselect, double scale, int weighted) {
    fk_count_state state;
    ptrdiff_t size = job->tree->leaf, columns = job->tree->d;
    size_t doubles = (size_t)(columns * (2 * FK_LANES + 2) + (job->tree->points ? 0 : columns * size));
    double *memory = malloc(doubles * sizeof(double) + (size_t)(columns * FK_LANES + FK_LANES * size) * sizeof(float));
    if (!memory) return 1;
    state.block.x = memory;
    state.block.rows = state.block.x + columns * FK_LANES;
    state.block.low = state.block.rows + columns * FK_LANES;
    state.block.high = state.block.low + columns;
    state.gathered = state.block.high + columns;
    state.view.x = (float *)(memory + doubles);
    state.bracket = state.view.x + columns * FK_LANES;
    for (ptrdiff_t at = start; at < end; at += FK_LANES) {
        ptrdiff_t row[FK_LANES];
        double reach[FK_LANES];
        fk_load_block(job->queries, positions, at, end, preselect, &state.block);
        for (int l = 0; l < FK_LANES; l++) {
            ptrdiff_t position = state.block.position[l];
            row[l] = job->in_order ? position - job->first : job->queries->order[position];
            double radius = job->radius[row[l]] * FK_NOT_FARTHER * scale;
            reach[l] = radius >= 0.0 ? radius * radius : FK_OUT;
            state.count[l] = 0;
            state.sum[l] = 0.0;
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

#define FK_COUNT(CLONES, NAME, D, PRESELECT, SCALE, WEIGHTED)                                                              \
    CLONES static int NAME(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {            \
        return fk_count_range(job, positions, start, end, D, PRESELECT, SCALE, WEIGHTED);                                  \
    }

FK_COUNT(FK_CLONES_256, fk_count_2, 2, 0, 1.0, 0)
FK_COUNT(FK_CLONES_256, fk_count_3, 3, 0, 1.0, 0)
FK_COUNT(FK_CLONES_256, fk_count_4, 4, 0, 1.0, 0)
FK_COUNT(FK_CLONES_256, fk_count_5, 5, 0, 1.0, 0)
FK_COUNT(FK_CLONES_256, fk_count_direct_any, job->tree->d, 0, job->scale, 0)
FK_COUNT(FK_CLONES, fk_count_preselected_any, job->tree->d, 1, 1.0, 0)
FK_COUNT(FK_CLONES, fk_weigh_direct_any, job->tree->d, 0, job->scale, 1)
FK_COUNT(FK_CLONES, fk_weigh_preselected_any, job->tree->d, 1, 1.0, 1)

/* 0, or 1 when memory is short. Counts have loops of their own for a few columns; sums of weights, which are rarer, have not. */
static int fk_count(const fk_count_job *job, const int32_t *positions, ptrdiff_t start, ptrdiff_t end) {
    int preselect = job->scale == 1.0 && job->tree->near_points;
    if (job->weight) return (preselect ? fk_weigh_preselected_any : fk_weigh_direct_any)(job, positions, start, end);
    if (preselect) return fk_count_preselected_any(job, positions, start, end);
    if (job->scale != 1.0) return fk_count_direct_any(job, positions, start, end);
    switch (job->tree->d) {
        case 2: return fk_count_2(job, positions, start, end);
        case 3: return fk_count_3(job, positions, start, end);
        case 4: return fk_count_4(job, positions, start, end);
        case 5: return fk_count_5(job, positions, start, end);
        default: return fk_count_direct_any(job, positions, start, end);
    }
}

/* Total weights of the children of a node and of all below it; returns their sum. */
static double fk_totals(const fk_tree *tree, const double *weight, ptrdiff_t node, double *total) {
    const int32_t *first = tree->first + node * (FK_CHILDREN + 1);
    double all = 0.0;
    for (int c = 0; c < FK_CHILDREN; c++) {
        double sum = 0.0;
        if (first[c + 1] - first[c] > 1)
            sum = fk_totals(tree, weight, tree->child[node * FK_CHILDREN + c], total);
        else
            for (ptrdiff_t i = first[c] * tree->leaf; i < fk_positions_end(tree, first[c + 1]); i++) sum += weight[i];
        total[node * FK_CHILDREN + c] = sum;
        all += sum;
    }
    return all;
}

#endif
