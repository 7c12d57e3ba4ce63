/* test_sampler_laws.c - every parameter that samplers draw, 100,000 times, against its law.
 *
 * Boxes are rounded to pixels: shares and aspects are asked of a picture so large that this does
 * not show, positions by their discrete law. */
#include "distribution.h"
#include "sampler_fixture.h"

enum { SHARE, ASPECT, X, Y, BRIGHTNESS, CONTRAST, SATURATION, HUE, SIGMA, PARAMETERS };
static const char *const names[PARAMETERS] = {
    "share of the area", "log aspect", "x",   "y",    "brightness",
    "contrast",          "saturation", "hue", "sigma"};

enum { FLIP = 1, JITTER = 2, GRAY = 4, BLUR = 8, SOLARIZE = 16, CHOICES = 32, ORDERS = 24 };

/* What one view of a recipe is drawn from. */
typedef struct view_law {
    const char *toml;
    int view;
    double scale[2], blur, solarize;
} view_law;

#define MULTICROP "use = \"multicrop\"\n"
#define SSLIGHT "use = \"sslight\"\n"

static const view_law laws[] = {
    {MULTICROP, 0, {0.14, 1.0}, 1.0, 0.0},  {MULTICROP, 1, {0.14, 1.0}, 0.1, 0.2},
    {MULTICROP, 2, {0.05, 0.14}, 0.5, 0.0}, {MULTICROP, 7, {0.05, 0.14}, 0.5, 0.0},
    {SSLIGHT, 0, {0.3, 1.0}, 1.0, 0.0},     {SSLIGHT, 1, {0.3, 1.0}, 0.1, 0.2},
    {SSLIGHT, 5, {0.05, 0.3}, 0.5, 0.0},
};

/* The distribution function of each parameter at what was drawn. */
typedef struct drawn {
    double at[PARAMETERS][PLANS];
    int64_t n[PARAMETERS];
    int64_t choices[CHOICES], orders[ORDERS];
} drawn;

static drawn all;

static void add(int parameter, double probability)
{
    all.at[parameter][all.n[parameter]++] = probability;
}

/* --- the laws --- */

/* Of a square picture: a box of share s fits while |log aspect| <= -log s, and is drawn again
 * otherwise. So pairs are uniform where they fit, and the share has density min(L, -log s). */
static const double widest = 0.28768207245178090; /* L = log 4/3 */

static double fitting(double share)
{
    return fmin(widest, -log(share));
}

static double mass_below(double share)
{
    const double bend = exp(-widest);
    if (share <= bend)
        return widest * share;
    return widest * bend + (share - share * log(share)) - (bend - bend * log(bend));
}

static void add_box(const view_law *law, const wisp_box *b, double side)
{
    const double share = (double)b->w * b->h / (side * side);
    const double low = mass_below(law->scale[0]), high = mass_below(law->scale[1]);
    add(SHARE, (mass_below(share) - low) / (high - low));
    add(ASPECT, 0.5 + 0.5 * log((double)b->w / b->h) / fitting(share));
}

/* `position` is uniform in [0, places): a random point of its cell is uniform in [0, 1). */
static void add_place(int parameter, int32_t position, int32_t places, wisp_rng *rng)
{
    add(parameter, (position + wisp_rng_uniform(rng)) / places);
}

/* Number of a permutation of the four kinds. */
static int order_number(const int32_t kinds[4])
{
    int number = 0;
    for (int i = 0; i < 4; i++) {
        int smaller = 0;
        for (int k = i + 1; k < 4; k++)
            smaller += kinds[k] < kinds[i];
        number = number * (4 - i) + smaller;
    }
    return number;
}

static void add_factor(const wisp_pixel_op *op)
{
    static const double range[PARAMETERS][2] = {[BRIGHTNESS] = {0.6, 1.4},
                                                [CONTRAST] = {0.6, 1.4},
                                                [SATURATION] = {0.8, 1.2},
                                                [HUE] = {-0.1, 0.1},
                                                [SIGMA] = {0.1, 2.0}};
    static const int parameters[] = {[WISP_PIXEL_BRIGHTNESS] = BRIGHTNESS,
                                     [WISP_PIXEL_CONTRAST] = CONTRAST,
                                     [WISP_PIXEL_SATURATION] = SATURATION,
                                     [WISP_PIXEL_HUE] = HUE,
                                     [WISP_PIXEL_BLUR] = SIGMA};
    const int parameter = parameters[op->kind];
    add(parameter, (op->p[0] - range[parameter][0]) / (range[parameter][1] - range[parameter][0]));
}

static void add_chain(const wisp_view_spec *view)
{
    int choice = view->flip ? FLIP : 0, n_jitter = 0;
    int32_t jitter[WISP_MAX_PIXEL_OPS] = {0};
    for (int32_t i = 0; i < view->n_ops; i++) {
        const wisp_pixel_op *op = &view->ops[i];
        choice |= op->kind == WISP_PIXEL_GRAY       ? GRAY
                  : op->kind == WISP_PIXEL_SOLARIZE ? SOLARIZE
                  : op->kind == WISP_PIXEL_BLUR     ? BLUR
                                                    : JITTER;
        if (op->kind <= WISP_PIXEL_HUE)
            jitter[n_jitter++] = op->kind;
        if (op->kind <= WISP_PIXEL_HUE || op->kind == WISP_PIXEL_BLUR)
            add_factor(op);
        else if (op->kind == WISP_PIXEL_SOLARIZE && op->p[0] != 128)
            ck_abort_msg("solarized from %g on", op->p[0]);
    }
    if (n_jitter != 0 && n_jitter != 4)
        ck_abort_msg("%d operations of jitter", n_jitter);
    all.choices[choice]++;
    if (n_jitter)
        all.orders[order_number(jitter)]++;
}

/* --- drawing and judging --- */

static void draw_all(const view_law *law, int32_t width, int32_t height)
{
    sampler_under_test s;
    wisp_view_plan plan;
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(77, WISP_STREAM_PLUGIN));
    memset(all.n, 0, sizeof all.n);
    memset(all.choices, 0, sizeof all.choices);
    memset(all.orders, 0, sizeof all.orders);
    open_sampler(&s, law->toml);
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, width, height, n, &plan);
        const wisp_view_spec *view = &plan.views[law->view];
        if (width == height)
            add_box(law, &view->box, width);
        add_place(X, view->box.x, width - view->box.w + 1, &rng);
        add_place(Y, view->box.y, height - view->box.h + 1, &rng);
        add_chain(view);
    }
    plugin_fixture_close(&s.fixture);
}

static void judge_parameters(const view_law *law, int first, int last)
{
    for (int i = first; i <= last; i++)
        ck_assert_msg(fits_uniform(all.at[i], all.n[i]),
                      "%sview %d, %s: Kolmogorov-Smirnov %.2f with %lld draws", law->toml,
                      law->view, names[i], kolmogorov_smirnov(all.at[i], all.n[i]),
                      (long long)all.n[i]);
}

/* All five choices at once: their probabilities, and that they do not depend on each other. */
static void judge_choices(const view_law *law)
{
    const double p[5] = {0.5, 0.8, 0.2, law->blur, law->solarize};
    double cells[CHOICES], even[ORDERS];
    for (int c = 0; c < CHOICES; c++) {
        cells[c] = 1;
        for (int i = 0; i < 5; i++)
            cells[c] *= c >> i & 1 ? p[i] : 1 - p[i];
    }
    for (int i = 0; i < ORDERS; i++)
        even[i] = 1.0 / ORDERS;
    ck_assert_msg(fits_counts(all.choices, cells, CHOICES), "%sview %d: chi-square of choices %.1f",
                  law->toml, law->view, chi_square_deviation(all.choices, cells, CHOICES));
    ck_assert_msg(fits_counts(all.orders, even, ORDERS), "%sview %d: chi-square of orders %.1f",
                  law->toml, law->view, chi_square_deviation(all.orders, even, ORDERS));
}

START_TEST(parameters_follow_their_laws)
{
    draw_all(&laws[_i], 1 << 24, 1 << 24);
    for (int i = 0; i < PARAMETERS; i++)
        if (i != SIGMA)
            ck_assert_int_gt(all.n[i], 79000);
    judge_parameters(&laws[_i], 0, PARAMETERS - 1);
    judge_choices(&laws[_i]);
}
END_TEST

START_TEST(places_follow_their_laws_in_small_pictures)
{
    draw_all(&laws[_i], 500, 375);
    judge_parameters(&laws[_i], X, Y);
    draw_all(&laws[_i], 33, 32);
    judge_parameters(&laws[_i], X, Y);
}
END_TEST

/* --- the judges themselves --- */

static int64_t uniform_sample(double low, double high)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(3, WISP_STREAM_PLUGIN));
    for (int i = 0; i < PLANS; i++)
        all.at[0][i] = wisp_rng_range(&rng, low, high);
    return PLANS;
}

/* Ranges that are wrong by a hundredth and probabilities that are wrong by one are noticed. */
START_TEST(wrong_laws_are_noticed)
{
    ck_assert(fits_uniform(all.at[0], uniform_sample(0, 1)));
    ck_assert(!fits_uniform(all.at[0], uniform_sample(0, 0.99)));
    ck_assert(!fits_uniform(all.at[0], uniform_sample(0, 1.01)));
    ck_assert(!fits_uniform(all.at[0], uniform_sample(-0.01, 1)));
    ck_assert(!fits_uniform(all.at[0], 0));
    const int64_t counts[2] = {80000, 20000};
    ck_assert(fits_counts(counts, (const double[]){0.8, 0.2}, 2));
    ck_assert(!fits_counts(counts, (const double[]){0.79, 0.21}, 2));
    ck_assert(!fits_counts(counts, (const double[]){0.81, 0.19}, 2));
    ck_assert(!fits_counts(counts, (const double[]){1, 0}, 2));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler_laws");
    TCase *tests = tcase_create("laws");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, parameters_follow_their_laws, 0, WISP_COUNT(laws));
    tcase_add_loop_test(tests, places_follow_their_laws_in_small_pictures, 0, WISP_COUNT(laws));
    tcase_add_test(tests, wrong_laws_are_noticed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
