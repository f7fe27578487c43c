/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of the kernel's <kunit/test.h> that the suites of the coherence core use, for
 * ordinary programs. Otherwise each of a hundred mutants of coherence.c would need a kernel of
 * its own. See run.c.
 */
#ifndef _MUTANTS_KUNIT_TEST_H
#define _MUTANTS_KUNIT_TEST_H

#include <linux/kernel.h>

#define KUNIT_PARAM_DESC_SIZE	128

struct kunit {
	const void *param_value;
	void *priv;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
	const void *(*generate_params)(const void *previous, char *desc);
};

struct kunit_suite {
	const char *name;
	int (*init)(struct kunit *test);
	struct kunit_case *test_cases;
	struct kunit_suite *next;
};

#define KUNIT_CASE(test)		{ .run_case = test, .name = #test }
#define KUNIT_CASE_PARAM(test, gen)	{ .run_case = test, .name = #test, .generate_params = gen }

#define KUNIT_ARRAY_PARAM(_name, array, get_desc)					\
	static const void *_name##_gen_params(const void *previous, char *desc)		\
	{										\
		__typeof__((array)[0]) *next = previous;				\
											\
		next = next ? next + 1 : (array);					\
		if (next - (array) >= (int)ARRAY_SIZE(array))				\
			return NULL;							\
		get_desc(next, desc);							\
		return next;								\
	}

#define kunit_test_suite(suite)						\
	static void __attribute__((constructor)) register_##suite(void)	\
	{								\
		kunit_register(&(suite));				\
	}

void kunit_register(struct kunit_suite *suite);

/* An expectation failed. If it was an assertion, the test ends here. */
void kunit_failed(const char *file, int line, bool stop, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define KUNIT_COMPARE(left, op, right, stop, ...) do {				\
	__typeof__(left) left_ = (left);					\
	__typeof__(right) right_ = (right);					\
										\
	if (!(left_ op right_)) {						\
		kunit_failed(__FILE__, __LINE__, stop, "%s %s %s: %lld, %lld", #left, #op, \
			     #right, (long long)(intptr_t)left_,		\
			     (long long)(intptr_t)right_);			\
	}									\
} while (0)

#define KUNIT_EXPECT_EQ(test, l, r)		KUNIT_COMPARE(l, ==, r, false)
#define KUNIT_EXPECT_NE(test, l, r)		KUNIT_COMPARE(l, !=, r, false)
#define KUNIT_EXPECT_LE(test, l, r)		KUNIT_COMPARE(l, <=, r, false)
#define KUNIT_EXPECT_LT(test, l, r)		KUNIT_COMPARE(l, <, r, false)
#define KUNIT_EXPECT_GT(test, l, r)		KUNIT_COMPARE(l, >, r, false)
#define KUNIT_EXPECT_TRUE(test, c)		KUNIT_COMPARE(!(c), ==, 0, false)
#define KUNIT_EXPECT_FALSE(test, c)		KUNIT_COMPARE(!!(c), ==, 0, false)
#define KUNIT_EXPECT_EQ_MSG(test, l, r, ...)	KUNIT_COMPARE(l, ==, r, false)
#define KUNIT_ASSERT_EQ(test, l, r)		KUNIT_COMPARE(l, ==, r, true)
#define KUNIT_ASSERT_NE(test, l, r)		KUNIT_COMPARE(l, !=, r, true)
#define KUNIT_ASSERT_LE(test, l, r)		KUNIT_COMPARE(l, <=, r, true)
#define KUNIT_ASSERT_LT(test, l, r)		KUNIT_COMPARE(l, <, r, true)
#define KUNIT_ASSERT_GT(test, l, r)		KUNIT_COMPARE(l, >, r, true)
#define KUNIT_ASSERT_TRUE(test, c)		KUNIT_COMPARE(!(c), ==, 0, true)
#define KUNIT_ASSERT_FALSE(test, c)		KUNIT_COMPARE(!!(c), ==, 0, true)
#define KUNIT_ASSERT_NOT_NULL(test, p)		KUNIT_COMPARE(!(p), ==, 0, true)
#define KUNIT_ASSERT_EQ_MSG(test, l, r, ...)	KUNIT_COMPARE(l, ==, r, true)
#define KUNIT_ASSERT_LE_MSG(test, l, r, ...)	KUNIT_COMPARE(l, <=, r, true)
#define KUNIT_ASSERT_LT_MSG(test, l, r, ...)	KUNIT_COMPARE(l, <, r, true)
#define KUNIT_ASSERT_TRUE_MSG(test, c, ...)	KUNIT_COMPARE(!(c), ==, 0, true)
#define KUNIT_FAIL(test, ...)	kunit_failed(__FILE__, __LINE__, false, __VA_ARGS__)

/* A test's allocations are never freed. */
#define kunit_kzalloc(test, size, gfp)		calloc(1, size)
#define kunit_kcalloc(test, n, size, gfp)	calloc(n, size)
#define kunit_kfree(test, p)			free((void *)(p))

#endif /* _MUTANTS_KUNIT_TEST_H */
