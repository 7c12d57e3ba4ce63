/* test_report_page.c - the page as a file: what its data look like in it, what it may do, and that
 * a lack of memory leaves nothing half-written. tests/report looks at it in a browser. */
#include <check.h>
#include <string.h>

#include "base/memory.h"
#include "report/page.h"
#include "report/page_server.h"

static json_t *page_with(const char *title, int live)
{
    return json_pack("{s:s,s:s,s:b,s:[{s:s,s:[f,n]}]}", "kind", "run", "title", title, "live", live,
                     "runs", "label", title, "value", 0.1);
}

START_TEST(data_cannot_end_their_element)
{
    wispi_text text = {0};
    wisp_error err = {0};
    json_t *page = page_with("</script><!-- \xe2\x80\xa8 \" \xc3\xa9", 0);
    ck_assert_int_eq(wispi_page_json(page, &text, &err), WISP_OK);
    ck_assert_ptr_null(strchr(text.data, '<'));
    ck_assert_ptr_nonnull(strstr(text.data, "\\u003c/script>\\u003c!-- \\u2028 \\\" \\u00E9"));
    json_t *back = json_loads(text.data, 0, NULL);
    ck_assert_int_eq(json_equal(page, back), 1);
    json_decref(back);
    json_decref(page);
    wispi_text_free(&text);
}
END_TEST

START_TEST(the_title_is_text)
{
    wispi_text html = {0};
    json_t *page = page_with("<b>\"&", 0);
    ck_assert_int_eq(wispi_page_write(page, &html, NULL), WISP_OK);
    ck_assert_ptr_nonnull(strstr(html.data, "<title>&lt;b&gt;&quot;&amp;</title>"));
    ck_assert_ptr_nonnull(strstr(html.data, "Permission is hereby granted"));
    ck_assert_ptr_null(strstr(html.data, "@@"));
    ck_assert_ptr_nonnull(strstr(html.data, "connect-src 'none'"));
    json_decref(page);
    wispi_text_free(&html);
}
END_TEST

START_TEST(a_live_page_may_ask_its_server)
{
    wispi_text policy = {0};
    wispi_page_policy(1, &policy);
    ck_assert_ptr_nonnull(strstr(policy.data, "default-src 'none'"));
    ck_assert_ptr_nonnull(strstr(policy.data, "connect-src 'self'"));
    ck_assert_ptr_null(strstr(policy.data, "unsafe"));
    wispi_text_free(&policy);
}
END_TEST

START_TEST(lacking_memory_leaves_what_was_there)
{
    json_t *page = page_with("a", 0);
    wisp_status status = WISP_E_NOMEM;
    int64_t nth = 1;
    for (; status != WISP_OK && nth < 1000; nth++) {
        wispi_text html = {0};
        wisp_error err = {0};
        wispi_text_append(&html, "before");
        wispi_fail_allocation(nth);
        status = wispi_page_write(page, &html, &err);
        wispi_fail_allocation(-1);
        if (status != WISP_OK) {
            ck_assert_int_eq(status, WISP_E_NOMEM);
            ck_assert_str_eq(html.data, "before");
        }
        wispi_text_free(&html);
    }
    ck_assert_int_eq(status, WISP_OK);
    ck_assert_int_gt(nth, 2);
    json_decref(page);
}
END_TEST

/* Browsers name a port that is not HTTP's own. */
START_TEST(requests_to_this_host_are_answered)
{
    ck_assert_int_eq(wispi_page_server_answers(8080, "127.0.0.1:8080"), 1);
    ck_assert_int_eq(wispi_page_server_answers(8080, "localhost:8080"), 1);
    ck_assert_int_eq(wispi_page_server_answers(8080, "localhost"), 0);
    ck_assert_int_eq(wispi_page_server_answers(8080, "127.0.0.1:80"), 0);
    ck_assert_int_eq(wispi_page_server_answers(80, "127.0.0.1"), 1);
    ck_assert_int_eq(wispi_page_server_answers(80, "localhost"), 1);
    ck_assert_int_eq(wispi_page_server_answers(80, "localhost:80"), 1);
    ck_assert_int_eq(wispi_page_server_answers(80, "evil.example"), 0);
    ck_assert_int_eq(wispi_page_server_answers(80, "localhost.evil.example"), 0);
    ck_assert_int_eq(wispi_page_server_answers(80, ""), 0);
    ck_assert_int_eq(wispi_page_server_answers(80, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report page");
    TCase *tests = tcase_create("page");
    tcase_add_test(tests, data_cannot_end_their_element);
    tcase_add_test(tests, the_title_is_text);
    tcase_add_test(tests, a_live_page_may_ask_its_server);
    tcase_add_test(tests, lacking_memory_leaves_what_was_there);
    tcase_add_test(tests, requests_to_this_host_are_answered);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
