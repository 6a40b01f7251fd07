/* Which rows are the k nearest: positions of the rows within the distance to the k-th, found by a search before.
 *
 * Rows nearer than that are taken all; of those at that distance (to FK_RELATIVE_SLACK) as many as are missing, in the order in
 * which the tree is walked, which follows from the rows' coordinates alone.
 */
#ifndef FK_LIST_H
#define FK_LIST_H

#include "fk_leaf.h"
#include "fk_slack.h"

#define FK_LEAST_SQUARE 0x1p-960 /* smaller ones have lost digits of the slack: all of these are equally far */

typedef struct {
    fk_block block;
    fk_view view;
    double limit[FK_LANES], nearer[FK_LANES]; /* squared */
    ptrdiff_t n_near[FK_LANES], n_far[FK_LANES];
    int32_t *near, *far;             /* (FK_LANES, k) rows that are nearer, and rows at the limit */
    float *bracket;                  /* (FK_LANES, leaf) */
} fk_list_state;

/* Takes a row into the list of a lane if it is near enough. */
FK_INLINE void fk_list_take(fk_list_state *state, int lane, ptrdiff_t position, double found, ptrdiff_t k) {
    if (!(found <= state->limit[lane]) || position == state->block.position[lane]) return;
    if (found < state->nearer[lane]) {
        if (state->n_near[lane] < k) state->near[lane * k + state->n_near[lane]++] = (int32_t)position;
    } else if (state->n_far[lane] < k) {
        state->far[lane * k + state->n_far[lane]++] = (int32_t)position;
    }
}

/* The same by brackets in float32, which leave few rows to look at (`fk_leaf.h`). */
FK_INLINE void fk_list_preselected(const fk_tree *tree, fk_list_state *state, ptrdiff_t leaf, const int *lanes, int count,
                                   ptrdiff_t k) {
    ptrdiff_t size = tree->leaf, d = tree->d, start = leaf * size, end = fk_positions_end(tree, leaf + 1);
    float outside[FK_LANES];
    uint32_t passed[FK_LANES * FK_PASSES];
    fk_view_leaf(tree, &state->block, leaf, d, &state->view);
    fk_thresholds(&state->view, state->limit, d, 1.0, outside);
    fk_to_front(state->view.x, d, count, lanes);
    fk_to_front(outside, 1, count, lanes);
    fk_brackets(state->view.x, count, tree->near_points + start * d, tree->half_norm + start, size, d, outside, state->bracket,
                passed);
    for (int c = 0; c < count; c++)
        for (ptrdiff_t i = 0; i < size; i += FK_TILE_ROWS)
            for (uint32_t bits = passed[c * FK_PASSES + i / FK_TILE_ROWS]; bits; bits &= bits - 1) {
                ptrdiff_t position = start + i + fk_lowest_bit(bits);
                if (position >= end) break;
                fk_list_take(state, lanes[c], position, fk_exact(tree, position, state->block.rows + lanes[c] * d, d), k);
            }
}

FK_INLINE void fk_list_leaf(const fk_tree *tree, fk_list_state *state, ptrdiff_t leaf, ptrdiff_t k) {
    ptrdiff_t size = tree->leaf, start = leaf * size, n = fk_positions_end(tree, leaf + 1) - start, d = tree->d;
    int lanes[FK_LANES + 1], count = fk_active(tree, &state->block, leaf, d, 1.0, state->limit, lanes);
    if (count == 0) return;
    if (tree->near_points) {
        fk_list_preselected(tree, state, leaf, lanes, count, k);
        return;
    }
    const double *points = tree->points + start * d;
    for (int c = 0; c < count; c++) {
        int lane = lanes[c];
        for (ptrdiff_t i = 0; i < size; i += FK_LANES) {
            double found[FK_LANES], least = INFINITY;
            fk_direct(points + i, size, state->block.x + lane, FK_LANES, d, 1.0, found);
            FK_PRAGMA(omp simd reduction(min : least))
            for (int l = 0; l < FK_LANES; l++) least = found[l] < least ? found[l] : least;
            if (!(least <= state->limit[lane])) continue;
            for (ptrdiff_t l = 0; l < FK_LANES && i + l < n; l++) fk_list_take(state, lane, start + i + l, found[l], k);
        }
    }
}

FK_INLINE void fk_list_walk(const fk_tree *tree, fk_list_state *state, ptrdiff_t k) {
    int32_t nodes[FK_STACK];
    double most = fk_largest(state->limit), distance[FK_CHILDREN];
    int height = 0;
    if (tree->n_nodes == 0) fk_list_leaf(tree, state, 0, k);
    else nodes[height++] = 0;
    while (height > 0) {
        ptrdiff_t node = nodes[--height];
        const int32_t *first = tree->first + node * (FK_CHILDREN + 1);
        fk_box_distances(tree, state->block.low, state->block.high, node, tree->d, 1.0, distance);
        for (int i = 0; i < FK_CHILDREN; i++) {
            if (distance[i] > most || first[i] == first[i + 1]) continue;
            if (first[i + 1] - first[i] == 1) fk_list_leaf(tree, state, first[i], k);
            else nodes[height++] = tree->child[node * FK_CHILDREN + i];
        }
    }
}

/* Positions of the k nearest other rows of the rows at the positions [start, end), into out (n, k); radius (n) holds their k-th
 * distances. 0, 1 when memory is short, 2 when a radius holds fewer than k rows. */
FK_CLONES static int fk_list(const fk_tree *tree, const double *radius, ptrdiff_t k, ptrdiff_t start, ptrdiff_t end,
                             int32_t *out) {
    fk_list_state state;
    ptrdiff_t columns = tree->d;
    size_t doubles = (size_t)(columns * (2 * FK_LANES + 2)), floats = (size_t)((columns + tree->leaf) * FK_LANES);
    int short_of_rows = 0;
    double *memory = malloc(doubles * sizeof(double) + floats * sizeof(float) + (size_t)(2 * FK_LANES * k) * sizeof(int32_t));
    if (!memory) return 1;
    state.block.x = memory;
    state.block.rows = state.block.x + columns * FK_LANES;
    state.block.low = state.block.rows + columns * FK_LANES;
    state.block.high = state.block.low + columns;
    state.view.x = (float *)(memory + doubles);
    state.bracket = state.view.x + columns * FK_LANES;
    state.near = (int32_t *)(state.view.x + floats);
    state.far = state.near + FK_LANES * k;
    for (ptrdiff_t at = start; at < end; at += FK_LANES) {
        fk_load_block(tree, NULL, at, end, tree->near_points != NULL, &state.block);
        for (int l = 0; l < FK_LANES; l++) {
            double reach = radius[state.block.position[l]], square = reach * reach;
            int tiny = square < FK_LEAST_SQUARE;
            state.limit[l] = (tiny ? FK_LEAST_SQUARE : square) * (FK_NOT_FARTHER * FK_NOT_FARTHER);
            state.nearer[l] = tiny ? 0.0 : square * (FK_NEARER * FK_NEARER);
            state.n_near[l] = state.n_far[l] = 0;
        }
        fk_list_walk(tree, &state, k);
        for (int l = 0; l < state.block.used; l++) {
            int32_t *row = out + state.block.position[l] * k;
            ptrdiff_t near = state.n_near[l], missing = k - near;
            if (missing > state.n_far[l]) short_of_rows = 2;
            else {
                memcpy(row, state.near + l * k, (size_t)near * sizeof(int32_t));
                memcpy(row + near, state.far + l * k, (size_t)missing * sizeof(int32_t));
            }
        }
    }
    free(memory);
    return short_of_rows;
}

#endif
