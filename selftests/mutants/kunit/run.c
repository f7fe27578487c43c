// SPDX-License-Identifier: GPL-2.0
/*
 * Runs KUnit suites in a program, and writes KTAP. Exits with 1 if a test fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <kunit/test.h>

static struct kunit_suite *suites;
static jmp_buf out_of_test;
static bool failed;

void kunit_register(struct kunit_suite *suite)
{
	suite->next = suites;
	suites = suite;
}

void kunit_failed(const char *file, int line, bool stop, const char *format, ...)
{
	va_list args;

	/* Only the first failure is printed. */
	if (!failed) {
		printf("    # %s:%d: ", file, line);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		putchar('\n');
	}
	failed = true;
	if (stop)
		longjmp(out_of_test, 1);
}

static void run_once(const struct kunit_suite *suite, const struct kunit_case *test,
		     const void *param)
{
	struct kunit context = { .param_value = param };

	if (!setjmp(out_of_test)) {
		if (suite->init && suite->init(&context))
			kunit_failed(suite->name, 0, true, "init");
		test->run_case(&context);
	}
}

static bool run_case(const struct kunit_suite *suite, const struct kunit_case *test)
{
	char desc[KUNIT_PARAM_DESC_SIZE] = "";
	const void *param = NULL;

	failed = false;
	if (!test->generate_params)
		run_once(suite, test, NULL);
	else
		while ((param = test->generate_params(param, desc)))
			run_once(suite, test, param);
	return !failed;
}

int main(void)
{
	unsigned int bad = 0, n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; suites; suites = suites->next)
		for (const struct kunit_case *test = suites->test_cases; test->run_case; test++) {
			bool ok = run_case(suites, test);

			bad += !ok;
			printf("%s %u %s.%s\n", ok ? "ok" : "not ok", ++n, suites->name, test->name);
		}
	printf("1..%u\n", n);
	return bad || !n;
}
