/* Memory plans: whatever the blocks, no two that are alive together touch, and the total lies
 * between the largest sum of live blocks and the sum of all. */
#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tensor/memory_plan.h"
#include "wisp/rng.h"

enum { MAX_BLOCKS = 200, MAX_TIME = 120 };

static int64_t rounded(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int64_t lower_bound(const wispi_plan_block *blocks, int32_t n)
{
    int64_t most = 0;
    for (int32_t time = 0; time <= MAX_TIME; time++) {
        int64_t alive = 0;
        for (int32_t i = 0; i < n; i++)
            if (blocks[i].first <= time && time <= blocks[i].last)
                alive += rounded(blocks[i].bytes);
        most = alive > most ? alive : most;
    }
    return most;
}

static void check_plan(const wispi_plan_block *blocks, int32_t n, int64_t total)
{
    for (int32_t i = 0; i < n; i++) {
        const wispi_plan_block *a = &blocks[i];
        ck_assert_int_eq(a->offset % 64, 0);
        ck_assert_int_ge(a->offset, 0);
        ck_assert_int_le(a->offset + a->bytes, total);
        for (int32_t k = i + 1; k < n; k++) {
            const wispi_plan_block *b = &blocks[k];
            const int together = a->first <= b->last && b->first <= a->last;
            const int apart =
                a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            ck_assert_msg(!together || apart, "blocks %d and %d overlap", i, k);
        }
    }
}

/* Lifetimes as in a training step: forward blocks live until their turn in backward. */
static void draw(wisp_rng *rng, wispi_plan_block *blocks, int32_t n, int nested)
{
    for (int32_t i = 0; i < n; i++) {
        const int32_t first = (int32_t)wisp_rng_below(rng, MAX_TIME / 2);
        const int32_t last =
            nested ? MAX_TIME - first
                   : first + (int32_t)wisp_rng_below(rng, (uint32_t)(MAX_TIME - first));
        blocks[i] = (wispi_plan_block){(int64_t)wisp_rng_below(rng, 5000), first, last, -1};
    }
}

START_TEST(random_blocks_never_overlap)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(3, WISP_STREAM_PLUGIN));
    double worst = 0;
    for (int round = 0; round < 300; round++) {
        wispi_plan_block blocks[MAX_BLOCKS];
        wisp_error err;
        int64_t total = -1, sum = 0;
        const int32_t n = (int32_t)wisp_rng_below(&rng, MAX_BLOCKS);
        draw(&rng, blocks, n, round % 2);
        const int64_t bound = lower_bound(blocks, n);
        ck_assert_int_eq(wispi_memory_plan(blocks, n, &total, &err), WISP_OK);
        check_plan(blocks, n, total);
        for (int32_t i = 0; i < n; i++)
            sum += blocks[i].bytes;
        ck_assert_int_ge(total, bound);
        ck_assert_int_le(total, sum);
        if (n > 50 && (double)total / (double)bound > worst)
            worst = (double)total / (double)bound;
    }
    ck_assert_msg(worst < 1.3, "a plan is %g times the lower bound", worst);
}
END_TEST

START_TEST(a_chain_needs_two_places)
{
    wispi_plan_block blocks[10];
    wisp_error err;
    int64_t total = 0;
    for (int32_t i = 0; i < 10; i++)
        blocks[i] = (wispi_plan_block){1000, i, i + 1, -1};
    ck_assert_int_eq(wispi_memory_plan(blocks, 10, &total, &err), WISP_OK);
    ck_assert_int_eq(total, 2 * 1024);
}
END_TEST

START_TEST(nothing_and_empty_blocks)
{
    wispi_plan_block blocks[2] = {{0, 0, 5, -1}, {64, 2, 3, -1}};
    wisp_error err;
    int64_t total = -1;
    ck_assert_int_eq(wispi_memory_plan(blocks, 0, &total, &err), WISP_OK);
    ck_assert_int_eq(total, 0);
    ck_assert_int_eq(wispi_memory_plan(blocks, 2, &total, &err), WISP_OK);
    ck_assert_int_eq(total, 64);
}
END_TEST

START_TEST(no_memory_is_reported)
{
    wispi_plan_block blocks[2] = {{64, 0, 5, -1}, {64, 2, 3, -1}};
    wisp_error err;
    int64_t total = -1;
    for (int64_t nth = 1; nth <= 2; nth++) {
        wispi_fail_allocation(nth);
        ck_assert_int_eq(wispi_memory_plan(blocks, 2, &total, &err), WISP_E_NOMEM);
        ck_assert_int_eq(total, -1);
    }
    wispi_fail_allocation(-1);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_plan");
    TCase *tests = tcase_create("memory_plan");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, random_blocks_never_overlap);
    tcase_add_test(tests, a_chain_needs_two_places);
    tcase_add_test(tests, nothing_and_empty_blocks);
    tcase_add_test(tests, no_memory_is_reported);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
