#include "report/neighbour_map.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "loader/host_table.h"

enum { LANES = 8, ROWS_OF_A_PIECE = 16, SEARCH_STEPS = 100 };

/* The usual schedule: attraction is exaggerated at first, so that clusters can pass each other. */
enum { EXAGGERATED_STEPS = 250 };
static const double exaggeration = 12, start_spread = 1e-4;

typedef struct descent {
    const wispi_map_request *request;
    int64_t n, stride;     /* floats of a row, a multiple of LANES */
    float *weights;        /* (n, stride): P of the paper, symmetric; 0 beyond n */
    float *x, *y;          /* (stride) */
    double *pull, *push;   /* (n, 2): forces by attraction and by repulsion */
    double *sums;          /* (n): of 1 / (1 + distance^2) over a row */
    double *terms;         /* (n): of the divergence */
    double *speed, *gains; /* (n, 2) */
    double total;          /* of the sums */
    double factor;         /* of attraction */
} descent;

static void each_row(descent *d, void (*body)(void *, int64_t, int64_t))
{
    const wisp_host *host = wispi_host_table();
    host->parallel_for(host, d->n, ROWS_OF_A_PIECE, body, d);
}

/* --- neighbourhoods of the points --- */

static double squared_distance(const double *a, const double *b, int64_t dim)
{
    double sum = 0;
    for (int64_t i = 0; i < dim; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Entropy of the neighbourhood with this precision; its weights go to `row`. Distances are taken
 * from the nearest, so that no precision underflows all. */
static double weigh_row(const descent *d, int64_t self, const double *squares, double nearest,
                        double precision, float *row)
{
    double sum = 0, mean = 0;
    for (int64_t j = 0; j < d->n; j++) {
        const double weight = j == self ? 0 : exp(-precision * (squares[j] - nearest));
        row[j] = (float)weight;
        sum += weight;
        mean += weight * (squares[j] - nearest);
    }
    for (int64_t j = 0; j < d->n; j++)
        row[j] = (float)(row[j] / sum);
    return log(sum) + precision * mean / sum;
}

/* The paper's binary search: the precision whose neighbourhood has the perplexity. */
static void search_row(const descent *d, int64_t self, const double *squares, float *row)
{
    double nearest = DBL_MAX, low = 0, high = DBL_MAX, precision = 1;
    for (int64_t j = 0; j < d->n; j++)
        if (j != self && squares[j] < nearest)
            nearest = squares[j];
    const double wanted = log(d->request->perplexity);
    for (int step = 0; step < SEARCH_STEPS; step++) {
        const double entropy = weigh_row(d, self, squares, nearest, precision, row);
        if (fabs(entropy - wanted) < 1e-5)
            return;
        if (entropy > wanted)
            low = precision;
        else
            high = precision;
        precision = high < DBL_MAX ? (low + high) / 2 : precision * 2;
    }
}

static void find_neighbourhoods(void *user, int64_t first, int64_t last)
{
    descent *d = user;
    const int64_t dim = d->request->dim;
    double *squares = wispi_alloc_array((size_t)d->n, sizeof *squares);
    for (int64_t i = first; squares && i < last; i++) {
        for (int64_t j = 0; j < d->n; j++)
            squares[j] =
                squared_distance(d->request->points + i * dim, d->request->points + j * dim, dim);
        search_row(d, i, squares, d->weights + i * d->stride);
        d->sums[i] = 1; /* done */
    }
    wispi_free(squares);
}

/* p_ij = (p_j|i + p_i|j) / 2n. */
static wisp_status weigh(descent *d, wisp_error *err)
{
    each_row(d, find_neighbourhoods);
    for (int64_t i = 0; i < d->n; i++) {
        if (d->sums[i] == 0)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for a map of %lld points",
                             (long long)d->n);
        for (int64_t j = 0; j <= i; j++) {
            float *a = d->weights + i * d->stride + j, *b = d->weights + j * d->stride + i;
            *a = *b = (*a + *b) / (2 * (float)d->n);
        }
    }
    return WISP_OK;
}

/* --- forces --- */

/* Sums run in LANES interleaved parts, so that vector instructions serve and the order of
 * additions, with it the bits, is always the same. */
static void push_and_pull(void *user, int64_t first, int64_t last)
{
    descent *d = user;
    for (int64_t i = first; i < last; i++) {
        const float *p = d->weights + i * d->stride;
        float sum[LANES] = {0}, pull_x[LANES] = {0}, pull_y[LANES] = {0};
        float push_x[LANES] = {0}, push_y[LANES] = {0};
        const float x = d->x[i], y = d->y[i];
        for (int64_t j = 0; j < d->stride; j += LANES)
            for (int l = 0; l < LANES; l++) {
                const float dx = x - d->x[j + l], dy = y - d->y[j + l];
                const float q = 1 / (1 + dx * dx + dy * dy), w = p[j + l] * q, q2 = q * q;
                sum[l] += q;
                pull_x[l] += w * dx;
                pull_y[l] += w * dy;
                push_x[l] += q2 * dx;
                push_y[l] += q2 * dy;
            }
        double all[5] = {0};
        for (int l = 0; l < LANES; l++) {
            all[0] += (double)sum[l];
            all[1] += (double)pull_x[l];
            all[2] += (double)pull_y[l];
            all[3] += (double)push_x[l];
            all[4] += (double)push_y[l];
        }
        d->sums[i] = all[0] - 1; /* without itself */
        memcpy(d->pull + 2 * i, all + 1, 2 * sizeof *all);
        memcpy(d->push + 2 * i, all + 3, 2 * sizeof *all);
    }
}

/* What stands beyond n is far away: it neither pulls nor pushes. */
static void place(descent *d, const double *map)
{
    for (int64_t i = 0; i < d->stride; i++) {
        d->x[i] = i < d->n ? (float)map[2 * i] : 1e18F;
        d->y[i] = i < d->n ? (float)map[2 * i + 1] : 1e18F;
    }
    each_row(d, push_and_pull);
    d->total = 0;
    for (int64_t i = 0; i < d->n; i++)
        d->total += d->sums[i];
}

static void add_terms(void *user, int64_t first, int64_t last)
{
    descent *d = user;
    for (int64_t i = first; i < last; i++) {
        d->terms[i] = 0;
        for (int64_t j = 0; j < d->n; j++) {
            const double p = (double)d->weights[i * d->stride + j];
            const double dx = (double)d->x[i] - (double)d->x[j];
            const double dy = (double)d->y[i] - (double)d->y[j];
            if (p > 0)
                d->terms[i] += p * log(p * d->total * (1 + dx * dx + dy * dy));
        }
    }
}

static double divergence_of(descent *d)
{
    double sum = 0;
    each_row(d, add_terms);
    for (int64_t i = 0; i < d->n; i++)
        sum += d->terms[i];
    return sum;
}

/* --- descent --- */

/* Mean 0, so that the map does not wander, and the first axis as narrow as the method wants it. */
static void centre(double *map, int64_t n, double wanted)
{
    double mean[2] = {0}, square = 0;
    for (int64_t i = 0; i < 2 * n; i++)
        mean[i % 2] += map[i] / (double)n;
    for (int64_t i = 0; i < 2 * n; i++) {
        map[i] -= mean[i % 2];
        square += i % 2 ? 0 : map[i] * map[i] / (double)n;
    }
    for (int64_t i = 0; wanted > 0 && square > 0 && i < 2 * n; i++)
        map[i] *= wanted / sqrt(square);
}

/* The step's size is that of Belkina et al. 2019: it grows with the number of points. */
static void move(descent *d, double *map, double momentum)
{
    const double usual = (double)d->n / exaggeration / 4, rate = usual > 50 ? usual : 50;
    for (int64_t i = 0; i < 2 * d->n; i++) {
        const double force = 4 * (d->factor * d->pull[i] - d->push[i] / d->total);
        const int onward = (force > 0) != (d->speed[i] > 0);
        const double gain = onward ? d->gains[i] + 0.2 : d->gains[i] * 0.8;
        d->gains[i] = gain > 0.01 ? gain : 0.01;
        d->speed[i] = momentum * d->speed[i] - rate * d->gains[i] * force;
        map[i] += d->speed[i];
    }
    centre(map, d->n, 0);
}

static wisp_status descend(descent *d, double *map, wisp_error *err)
{
    centre(map, d->n, start_spread);
    for (int64_t i = 0; i < 2 * d->n; i++)
        d->gains[i] = 1;
    for (int32_t step = 0; step < d->request->steps; step++) {
        if (d->request->stop && *d->request->stop)
            return wisp_fail(err, WISP_E_STOPPED, "stopped while making a map");
        const int early = step < EXAGGERATED_STEPS;
        d->factor = early ? exaggeration : 1;
        place(d, map);
        move(d, map, early ? 0.5 : 0.8);
    }
    return WISP_OK;
}

/* --- */

static void close_descent(descent *d)
{
    void *const blocks[] = {d->weights, d->x,     d->y,     d->pull, d->push,
                            d->sums,    d->terms, d->speed, d->gains};
    for (size_t i = 0; i < WISP_COUNT(blocks); i++)
        wispi_free(blocks[i]);
}

static wisp_status open_descent(descent *d, const wispi_map_request *request, wisp_error *err)
{
    const int64_t n = request->n, stride = (n + LANES - 1) / LANES * LANES;
    memset(d, 0, sizeof *d);
    if (n < 4 || request->dim < 1 || !(request->perplexity >= 1) ||
        request->perplexity > (double)(n - 1) / 3)
        return wisp_fail(err, WISP_E_INVALID, "no map of %lld points with a perplexity of %g",
                         (long long)n, request->perplexity);
    d->request = request;
    d->n = n;
    d->stride = stride;
    d->weights = wispi_alloc_array((size_t)n, (size_t)stride * sizeof *d->weights);
    d->x = wispi_alloc_array((size_t)stride, sizeof *d->x);
    d->y = wispi_alloc_array((size_t)stride, sizeof *d->y);
    double **const columns[] = {&d->pull, &d->push, &d->sums, &d->terms, &d->speed, &d->gains};
    int failed = !d->weights || !d->x || !d->y;
    for (size_t i = 0; i < WISP_COUNT(columns); i++) {
        *columns[i] = wispi_alloc_array((size_t)n, 2 * sizeof(double));
        failed |= !*columns[i];
    }
    if (failed)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a map of %lld points", (long long)n);
    return weigh(d, err);
}

wisp_status wispi_neighbour_map(const wispi_map_request *request, double *map, double *divergence,
                                wisp_error *err)
{
    descent d;
    wisp_status status = open_descent(&d, request, err);
    if (status == WISP_OK)
        status = descend(&d, map, err);
    if (status == WISP_OK && divergence) {
        place(&d, map);
        *divergence = divergence_of(&d);
    }
    close_descent(&d);
    return status;
}

wisp_status wispi_neighbour_map_judge(const wispi_map_request *request, const double *map,
                                      double *divergence, wisp_error *err)
{
    descent d;
    const wisp_status status = open_descent(&d, request, err);
    if (status == WISP_OK) {
        place(&d, map);
        *divergence = divergence_of(&d);
    }
    close_descent(&d);
    return status;
}
