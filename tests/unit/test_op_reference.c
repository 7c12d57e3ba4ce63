/* Every gradient rule against finite differences of its op's reference kernel, one test per family;
 * an op without a case, or with a rule that no case checks, fails. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tensor/op_check.h"

static void say(void *user, const wispi_op_result *result)
{
    wispi_text *failures = user;
    if (result->outcome == WISPI_CHECK_FAIL)
        wispi_op_result_text(failures, result);
}

START_TEST(rules_agree_with_finite_differences)
{
    const wispi_op_family *family = wispi_op_families[_i];
    wispi_text failures = {0};
    for (int32_t i = 0; i < family->n_ops; i++) {
        const wispi_op *op = family->ops[i];
        const wispi_op_options options = {op->name, 0};
        wispi_op_summary summary;
        wisp_error err = {0};
        wisp_status status = wispi_op_grad_all(&options, say, &failures, &summary, &err);
        /* An op that has cases and no gradient rule has nothing to check here. */
        if (!op->gradient && op->n_cases > 0)
            ck_assert_int_eq(status, WISP_E_NOT_FOUND);
        else
            ck_assert_msg(status == WISP_OK, "%s: %s", op->name, err.message);
    }
    ck_assert_msg(failures.length == 0, "\n%.3000s", failures.data ? failures.data : "");
    wispi_text_free(&failures);
}
END_TEST

int main(void)
{
    int n_families = 0;
    while (wispi_op_families[n_families])
        n_families++;
    Suite *suite = suite_create("op_reference");
    TCase *c = tcase_create("gradients");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, rules_agree_with_finite_differences, 0, n_families);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
