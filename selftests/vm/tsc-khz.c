// SPDX-License-Identifier: GPL-2.0
/*
 * Prints how fast the time stamp counter runs, in kHz.
 *
 * A virtual machine's kernel finds that out as it boots, by timers that its own
 * emulation delays: on a busy machine it has been seen to be wrong by a factor
 * of six, and with it every clock and timeout. QEMU's emulation counts as the
 * processor does, whose rate is measured here between two moments a tenth of a
 * second apart, each the best of many attempts to read both clocks at once.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

enum { ATTEMPTS = 100, INTERVAL_NS = 100 * 1000 * 1000 };

struct moment {
	uint64_t tsc;
	int64_t	 ns;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct moment moment(void)
{
	struct moment best = { 0 };
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < ATTEMPTS; i++) {
		uint64_t before = __rdtsc();
		int64_t ns = now();
		uint64_t width = __rdtsc() - before;

		if (width < best_width) {
			best_width = width;
			best = (struct moment){ before + width / 2, ns };
		}
	}
	return best;
}

int main(void)
{
	struct moment start = moment(), end;

	do {
		end = moment();
	} while (end.ns - start.ns < INTERVAL_NS);
	printf("%.0f\n", (end.tsc - start.tsc) * 1e6 / (end.ns - start.ns));
	return 0;
}
