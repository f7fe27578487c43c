// SPDX-License-Identifier: GPL-2.0
/*
 * Heartbeats while the loop's thread is in a call to the module.
 *
 * The module deals with the frames that we bring it in our own system call. Should that take
 * long, whatever the reason, nobody else would hear from this node, and the links would be
 * given up that could carry what the others wait for. So a second thread looks once a
 * heartbeat whether the first one is still in the call that it was in a heartbeat ago; if so,
 * it pings every peer, which is all that a peer needs to know that we live.
 *
 * Nothing has a lock of its own. The loop's thread holds the one lock there is, and lets go
 * of it only around those calls, where everything is in order; the second one never waits
 * for it. Stopping the process stops both. And a call that never ends ends this, too: what
 * has been stuck for PULSE_MAX_MS is as good as dead.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config.h"
#include "conn.h"
#include "links.h"
#include "log.h"
#include "peer.h"
#include "pulse.h"

#define PULSE_MAX_MS	60000

static void beat(struct links *links)
{
	for (uint32_t id = 0; id < links->config->nodes; id++)
		if (links->peers[id].conn)
			conn_beat(links->peers[id].conn);
}

/* The call has taken @ms, a heartbeat more than when this was last called. */
static void call_lasts(struct links *links, unsigned int ms)
{
	const struct config *config = links->config;

	if (ms <= PULSE_MAX_MS)
		beat(links);
	if (ms >= config->lost_ms && ms - config->heartbeat_ms < config->lost_ms)
		log_warning("the module has been busy with one call for %u ms", ms);
	if (ms > PULSE_MAX_MS && ms - config->heartbeat_ms <= PULSE_MAX_MS)
		log_error("the module has been busy with one call for %u ms: the peers are left to think that this node is lost",
			  ms);
}

static void *pulse_run(void *data)
{
	struct pulse *pulse = data;
	unsigned int heartbeat_ms = pulse->links->config->heartbeat_ms;
	struct pollfd stop = { .fd = pulse->stop_fd, .events = POLLIN };
	unsigned int seen = 0, ms = 0;

	while (poll(&stop, 1, (int)heartbeat_ms) <= 0) {
		if (pthread_mutex_trylock(&pulse->lock))
			continue;
		ms = pulse->calls == seen ? ms + heartbeat_ms : 0;
		seen = pulse->calls;
		if (ms)
			call_lasts(pulse->links, ms);
		pthread_mutex_unlock(&pulse->lock);
	}
	return NULL;
}

/* By the loop's thread. Returns 0 or a negative errno. */
int pulse_start(struct pulse *pulse, struct links *links)
{
	int err;

	pulse->links = links;
	pulse->calls = 0;
	pulse->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (pulse->stop_fd < 0)
		return -errno;
	pthread_mutex_init(&pulse->lock, NULL);
	pthread_mutex_lock(&pulse->lock);
	err = pthread_create(&pulse->thread, NULL, pulse_run, pulse);
	if (!err) {
		pulse->running = true;
		return 0;
	}
	pthread_mutex_unlock(&pulse->lock);
	pthread_mutex_destroy(&pulse->lock);
	close(pulse->stop_fd);
	return -err;
}

/* By the loop's thread. It may not have been started. */
void pulse_stop(struct pulse *pulse)
{
	if (!pulse->running)
		return;
	pulse->running = false;
	eventfd_write(pulse->stop_fd, 1);
	pthread_join(pulse->thread, NULL);
	pthread_mutex_unlock(&pulse->lock);
	pthread_mutex_destroy(&pulse->lock);
	close(pulse->stop_fd);
}
