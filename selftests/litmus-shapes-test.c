// SPDX-License-Identifier: GPL-2.0
/*
 * The enumeration of litmus outcomes agrees with the literature. For each shape: how many
 * outcomes each model allows, and whether the well-known one is among them.
 */
#include <stdio.h>
#include <string.h>

#include "litmus-shapes.h"

struct answer {
	const char *name;
	unsigned int sc, tso;			/* outcomes allowed */
	unsigned int weak[LITMUS_FIELDS];	/* the well-known one, which SC forbids */
	bool tso_weak;
};

static const struct answer answers[] = {
	{ "SB",    3,  4, { 0, 0 },       true },
	{ "MP",    3,  3, { 1, 0 },       false },
	{ "LB",    3,  3, { 1, 1 },       false },
	{ "S",     3,  3, { 1, 2 },       false },
	{ "R",     3,  4, { 0, 2 },       true },
	{ "2+2W",  3,  3, { 1, 1 },       false },
	{ "WRC",   7,  7, { 1, 1, 0 },    false },
	{ "RWC",   7,  8, { 1, 0, 0 },    true },
	{ "IRIW", 15, 15, { 1, 0, 1, 0 }, false },
	{ "CoRR",  3,  3, { 1, 0 },       false },
	{ "CoWR",  3,  3, { 2, 1 },       false },
	{ "CoWW",  2,  2, { 1 },          false },
};

enum { ANSWERS = sizeof(answers) / sizeof(answers[0]) };

static const int alone[LITMUS_THREADS] = { 0, 1, 2, 3 };
static const int all_on_one[LITMUS_THREADS] = { 0, 0, 0, 0 };

static unsigned int tests, failures;
static bool failed;

static void result(const char *model, const char *name)
{
	failures += failed;
	printf("%s %u %s: %s\n", failed ? "not ok" : "ok", ++tests, model, name);
	failed = false;
}

static void expect(bool holds, const char *format, unsigned int is, unsigned int wanted)
{
	if (holds)
		return;
	printf("# ");
	printf(format, is, wanted);
	printf("\n");
	failed = true;
}

static unsigned int count(const bool *allowed)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LITMUS_OUTCOMES; i++)
		n += allowed[i];
	return n;
}

static bool includes(const bool *more, const bool *less)
{
	for (unsigned int i = 0; i < LITMUS_OUTCOMES; i++)
		if (less[i] && !more[i])
			return false;
	return true;
}

static void test_shape(const struct litmus_shape *shape, const struct answer *answer)
{
	static bool sc[LITMUS_OUTCOMES], tso[LITMUS_OUTCOMES], apart[LITMUS_OUTCOMES];
	unsigned int weak = litmus_outcome(shape, answer->weak), n;

	litmus_enumerate_sc(shape, sc);
	n = count(sc);
	expect(n == answer->sc, "%u outcomes, not %u", n, answer->sc);
	expect(!sc[weak], "outcome %u is allowed", weak, 0);
	result("SC", shape->name);

	litmus_enumerate(shape, all_on_one, tso);
	n = count(tso);
	expect(n == answer->tso, "%u outcomes, not %u", n, answer->tso);
	expect(tso[weak] == answer->tso_weak, "outcome %u: %u is wrong", weak, tso[weak]);
	expect(includes(tso, sc), "less than SC", 0, 0);
	result("TSO", shape->name);

	litmus_enumerate(shape, alone, apart);
	expect(!memcmp(apart, sc, sizeof(sc)), "%u outcomes, not SC's %u", count(apart),
	       count(sc));
	result("a node a thread is SC", shape->name);
}

/*
 * A store in a buffer is hidden only from other threads of the same node. So in RWC, the
 * thread that reads y too early must be on the node of the thread that writes y.
 */
static void test_mixed(void)
{
	static const struct {
		const char *name;
		int node_of[LITMUS_THREADS];
		unsigned int weak[LITMUS_FIELDS];
		bool allowed;
	} cases[] = {
		{ "RWC", { 0, 1, 1 }, { 1, 0, 0 }, true },
		{ "RWC", { 0, 0, 1 }, { 1, 0, 0 }, false },
		{ "RWC", { 0, 1, 0 }, { 1, 0, 0 }, false },
		{ "IRIW", { 0, 1, 0, 1 }, { 1, 0, 1, 0 }, false },
		{ "WRC", { 0, 0, 1 }, { 1, 1, 0 }, false },
	};
	static bool allowed[LITMUS_OUTCOMES];

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct litmus_shape *shape = litmus_shapes;
		unsigned int weak;

		while (strcmp(shape->name, cases[i].name))
			shape++;
		weak = litmus_outcome(shape, cases[i].weak);
		litmus_enumerate(shape, cases[i].node_of, allowed);
		expect(allowed[weak] == cases[i].allowed, "case %u: outcome is %u", i,
		       allowed[weak]);
	}
	result("mixed", "threads of two nodes");
}

static void test_text(void)
{
	char text[100];

	for (unsigned int i = 0; i < litmus_shapes_count; i++) {
		const struct litmus_shape *shape = &litmus_shapes[i];

		if (strcmp(shape->name, "S"))
			continue;
		litmus_outcome_text(shape, litmus_outcome(shape, (unsigned int[]){ 1, 2 }), text,
				    sizeof(text));
		expect(!strcmp(text, "1:y=1 [x]=2"), "an outcome reads otherwise", 0, 0);
		result("text", text);
	}
}

int main(void)
{
	printf("TAP version 13\n1..%u\n", 3 * litmus_shapes_count + 2);
	for (unsigned int i = 0; i < litmus_shapes_count; i++) {
		unsigned int a = 0;

		while (a < ANSWERS && strcmp(answers[a].name, litmus_shapes[i].name))
			a++;
		if (a == ANSWERS) {
			printf("Bail out! nothing is known of %s\n", litmus_shapes[i].name);
			return 1;
		}
		test_shape(&litmus_shapes[i], &answers[a]);
	}
	test_mixed();
	test_text();
	return failures != 0;
}
