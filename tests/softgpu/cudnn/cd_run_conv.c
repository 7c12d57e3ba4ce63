/* Convolutions in two dimensions, image by image and group by group: columns of the input's
 * windows, one matrix product. */
#include "cd_run.h"
#include "soft_gemm.h"
#include "soft_number.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    const cd_convolution *conv;
    int64_t images, groups;
    int64_t c, h, w; /* channels of a group, the input's rows and columns */
    int64_t k, p, q; /* channels of a group, the output's rows and columns */
    int64_t r, s;    /* the filter's */
    int64_t window;  /* c * r * s */
    int64_t places;  /* p * q */
    int backwards;   /* sums go from the last to the first */
} shape;

static shape shape_of(const cd_step *step)
{
    cd_parts t = cd_convolution_parts(step->graph, step->node);
    shape s = {.conv = &step->node->conv,
               .images = t.x->dims[0],
               .groups = cd_groups(step->graph, step->node),
               .c = t.w->dims[1],
               .h = t.x->dims[2],
               .w = t.x->dims[3],
               .p = t.y->dims[2],
               .q = t.y->dims[3],
               .r = t.w->dims[2],
               .s = t.w->dims[3],
               .backwards = step->engine == CD_ENGINE_UNORDERED && step->turn % 2};
    s.k = t.w->dims[0] / s.groups;
    s.window = s.c * s.r * s.s;
    s.places = s.p * s.q;
    return s;
}

/* One row of columns: tap (r, t) of a channel for the outputs of row p. The outputs whose tap is in
 * the input are those of [*first, *last), the first of them reads place *at. 0: there are none. */
static int in_reach(const shape *s, int64_t p, int64_t r, int64_t t, int64_t *first, int64_t *last,
                    int64_t *at)
{
    const cd_convolution *c = s->conv;
    int64_t y = p * c->strides[0] - c->pre[0] + r * c->dilations[0];
    int64_t x = t * c->dilations[1] - c->pre[1], step = c->strides[1];
    *first = x >= 0 ? 0 : (-x + step - 1) / step;
    *last = x >= s->w ? 0 : (s->w - 1 - x) / step + 1;
    *last = *last < s->q ? *last : s->q;
    *at = y * s->w + x + *first * step;
    return y >= 0 && y < s->h && *first < *last;
}

/* columns[c r s][p q] of one image's group. */
static void take_columns(const shape *s, const float *x, float *columns)
{
    int64_t first, last, at;
    memset(columns, 0, (size_t)(s->window * s->places) * sizeof *columns);
    for (int64_t row = 0; row < s->window; row++) {
        const float *plane = x + row / (s->r * s->s) * s->h * s->w;
        for (int64_t p = 0; p < s->p; p++) {
            float *out = columns + row * s->places + p * s->q;
            if (in_reach(s, p, row / s->s % s->r, row % s->s, &first, &last, &at))
                for (int64_t q = first; q < last; q++)
                    out[q] = plane[at + (q - first) * s->conv->strides[1]];
        }
    }
}

/* The reverse: every column's value is added to the place that it came from. */
static void put_columns(const shape *s, const float *columns, float *x)
{
    int64_t first, last, at;
    memset(x, 0, (size_t)(s->c * s->h * s->w) * sizeof *x);
    for (int64_t i = 0; i < s->window; i++) {
        int64_t row = s->backwards ? s->window - 1 - i : i;
        float *plane = x + row / (s->r * s->s) * s->h * s->w;
        for (int64_t p = 0; p < s->p; p++) {
            const float *in = columns + row * s->places + p * s->q;
            if (in_reach(s, p, row / s->s % s->r, row % s->s, &first, &last, &at))
                for (int64_t q = first; q < last; q++)
                    plane[at + (q - first) * s->conv->strides[1]] += in[q];
        }
    }
}

static void transpose(int64_t rows, int64_t cols, const float *in, float *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            out[j * rows + i] = in[i * cols + j];
}

static void forward(const shape *s, const float *x, const float *w, float *y)
{
    float *columns = soft_scratch((size_t)(s->window * s->places) * sizeof *columns);
    for (int64_t i = 0; i < s->images * s->groups; i++) {
        take_columns(s, x + i * s->c * s->h * s->w, columns);
        soft_gemm(s->k, s->places, s->window, w + i % s->groups * s->k * s->window, columns,
                  y + i * s->k * s->places);
    }
    free(columns);
}

static void backward_data(const shape *s, const float *dy, const float *w, float *dx)
{
    float *columns = soft_scratch((size_t)(s->window * s->places) * sizeof *columns);
    float *turned = soft_scratch((size_t)(s->window * s->k) * sizeof *turned);
    for (int64_t i = 0; i < s->images * s->groups; i++) {
        transpose(s->k, s->window, w + i % s->groups * s->k * s->window, turned);
        soft_gemm(s->window, s->places, s->k, turned, dy + i * s->k * s->places, columns);
        put_columns(s, columns, dx + i * s->c * s->h * s->w);
    }
    free(columns);
    free(turned);
}

static void backward_filter(const shape *s, const float *x, const float *dy, float *dw)
{
    int64_t all = s->images * s->groups, one = s->k * s->window;
    float *columns = soft_scratch((size_t)(s->window * s->places) * sizeof *columns);
    float *turned = soft_scratch((size_t)(s->window * s->places) * sizeof *turned);
    float *sums = soft_scratch((size_t)one * sizeof *sums);
    memset(dw, 0, (size_t)(s->groups * one) * sizeof *dw);
    for (int64_t step = 0; step < all; step++) {
        int64_t i = s->backwards ? all - 1 - step : step;
        take_columns(s, x + i * s->c * s->h * s->w, columns);
        transpose(s->window, s->places, columns, turned);
        soft_gemm(s->k, s->window, s->places, dy + i * s->k * s->places, turned, sums);
        for (int64_t j = 0; j < one; j++)
            dw[i % s->groups * one + j] += sums[j];
    }
    free(columns);
    free(turned);
    free(sums);
}

/* An input as the tensor cores take it. */
static float *as_taken(const cd_step *step, int input)
{
    int64_t n = cd_elements(&step->graph->tensors[step->node->in[input]]);
    int cut = step->engine == CD_ENGINE_TF32 || step->engine == CD_ENGINE_FUSION_TF32;
    float *copy = soft_scratch((size_t)n * sizeof *copy);
    for (int64_t i = 0; i < n; i++)
        copy[i] = cut ? soft_tf32(step->in[input][i]) : step->in[input][i];
    return copy;
}

void cd_run_convolution(const cd_step *step)
{
    const cd_node *node = step->node;
    shape s = shape_of(step);
    int64_t n = cd_elements(&step->graph->tensors[node->out[0]]);
    float *first = as_taken(step, 0), *second = as_taken(step, 1);
    float *result = soft_scratch((size_t)n * sizeof *result);
    if (node->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        forward(&s, first, second, result);
    else if (node->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        backward_data(&s, first, second, result);
    else
        backward_filter(&s, first, second, result);
    float alpha = (float)node->alpha, beta = (float)node->beta;
    for (int64_t i = 0; i < n; i++)
        step->out[0][i] = alpha * result[i] + (beta != 0 ? beta * step->out[0][i] : 0);
    free(first);
    free(second);
    free(result);
}
