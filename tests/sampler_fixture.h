/* sampler_fixture.h - a sampler of the build tree: its plans, and what is measured on many of them.
 *
 * Published figures are those of a simulation with torchvision's crops on 100,000 pairs of a local
 * and a global view, for images of 500 x 375 and of 400 x 400. An assertion of Check that holds is
 * a system call: what is asked of each view is asked by `if`. */
#ifndef WISP_TESTS_SAMPLER_FIXTURE_H
#define WISP_TESTS_SAMPLER_FIXTURE_H

#include <math.h>

#include "plugin_fixture.h"
#include "wisp/sampler.h"

enum { PLANS = 100000 };

typedef struct sampler_under_test {
    plugin_fixture fixture;
    const wisp_sampler_v0 *vtable;
} sampler_under_test;

static inline void open_sampler(sampler_under_test *s, const char *toml)
{
    s->vtable = plugin_fixture_open(&s->fixture, "sampler", toml);
}

static inline void draw_plan(const sampler_under_test *s, int32_t width, int32_t height, uint64_t n,
                             wisp_view_plan *plan)
{
    wisp_error err = {0};
    wisp_view_source source = {width, height, 0, (int64_t)n,
                               wisp_rng_derive(wisp_rng_stream(5, WISP_STREAM_VIEW), 0, n)};
    plan->n_views = 0;
    wisp_status status = s->vtable->plan(s->fixture.instance.self, &source, plan, &err);
    if (status != WISP_OK)
        ck_abort_msg("%s", err.message);
}

/* The published figure has `digits` decimals: 1 % and half of the last digit are allowed. */
static inline void check_figure(const char *what, double measured, double published, int digits)
{
    double allowed = 0.01 * published + 0.5 * pow(10, -digits);
    ck_assert_msg(fabs(measured - published) <= allowed, "%s: %.4f, published %.3f", what, measured,
                  published);
}

static inline double view_area(const wisp_view_spec *view)
{
    return (double)view->box.w * view->box.h;
}

/* Source pixels of one pixel of a view. */
static inline double pixel_scale(const wisp_view_spec *view)
{
    return view_area(view) / ((double)view->out_w * view->out_h);
}

typedef struct scale_figures {
    const char *name, *toml;
    double share; /* accepted global area */
    double wide_area, wide_linear, square_area, square_linear;
    int square_digits;
} scale_figures;

static inline void measure_scales(const char *toml, int32_t width, int32_t height, double *share,
                                  double *by_area, double *by_length)
{
    sampler_under_test s;
    wisp_view_plan plan;
    double sum[3] = {0, 0, 0};
    open_sampler(&s, toml);
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, width, height, n, &plan);
        const wisp_view_spec *global = &plan.views[0], *local = &plan.views[plan.n_views - 1];
        if (global->group != 0 || local->group != 1)
            ck_abort_msg("the views of %s do not stand group by group", toml);
        double ratio = pixel_scale(local) / pixel_scale(global);
        sum[0] += view_area(global) / ((double)width * height);
        sum[1] += ratio;
        sum[2] += sqrt(ratio);
    }
    plugin_fixture_close(&s.fixture);
    *share = sum[0] / PLANS;
    *by_area = sum[1] / PLANS;
    *by_length = sum[2] / PLANS;
}

static inline void check_scales(const scale_figures *f)
{
    double share, by_area, by_length;
    measure_scales(f->toml, 500, 375, &share, &by_area, &by_length);
    check_figure(f->name, share, f->share, 3);
    check_figure(f->name, by_area, f->wide_area, 2);
    check_figure(f->name, by_length, f->wide_linear, 2);
    measure_scales(f->toml, 400, 400, &share, &by_area, &by_length);
    check_figure(f->name, by_area, f->square_area, f->square_digits);
    check_figure(f->name, by_length, f->square_linear, 2);
}

#endif
