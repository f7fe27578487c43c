// SPDX-License-Identifier: GPL-2.0
/* dsmd: carries the dsm module's messages between this node and its peers. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "credentials.h"
#include "device.h"
#include "kernel.h"
#include "ktls.h"
#include "links.h"
#include "log.h"
#include "loop.h"
#include "spin.h"
#include "status.h"
#include "stranger.h"
#include "window.h"

static struct config config;
static struct loop loop;
static struct kernel kernel;
static struct links links;
static struct spin spin;
static struct status status;
static struct credentials *credentials;
static struct loop_source signals = { .fd = -1 };

/* Three descriptors a peer, two a stranger, and our own. */
static void limits_raise(uint32_t nodes)
{
	const rlim_t needed = 3 * nodes + 2 * (2 * STRANGERS_MAX + nodes) + 64;
	struct rlimit limit, most;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	most = limit;
	most.rlim_cur = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max < needed ? needed : limit.rlim_max;
	limit.rlim_max = limit.rlim_cur;
	if (!setrlimit(RLIMIT_NOFILE, &limit))
		return;
	log_warning("%u nodes may need %llu open files, and %llu are allowed: %m", nodes,
		    (unsigned long long)needed, (unsigned long long)most.rlim_max);
	if (setrlimit(RLIMIT_NOFILE, &most))
		log_debug("number of open files: %m");
}

static void signals_ready(struct loop_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info("%s: stopping", strsignal((int)info.ssi_signo));
	sd_notify(0, "STOPPING=1");
	loop_stop(&loop, 0);
}

static int signals_init(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals.fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signals.fd < 0)
		return -errno;
	signals.ready = signals_ready;
	return loop_add(&loop, &signals, EPOLLIN);
}

static int run(void)
{
	int err;

	err = loop_init(&loop);
	if (err)
		goto err;
	err = signals_init();
	if (err)
		goto err_loop;
	err = kernel_init(&kernel, &loop, &links);
	if (err)
		goto err_loop;
	err = links_init(&links, &config, &loop, &kernel.module);
	if (err)
		goto err_kernel;
	links.credentials = credentials;
	window_copy_init();
	window_table_init(&links.windows, device_window_open, NULL);

	spin_init(&spin, &loop, &links.windows);

	err = kernel_register(&kernel, (uint32_t)config.node, config.nodes);
	if (err)
		goto err_links;
	err = links_start(&links, kernel.incarnation, kernel.credits);
	if (err)
		goto err_links;
	err = pulse_start(&links.pulse, &links);
	if (err)
		goto err_links;
	status_init(&status, &links);
	log_info("node %d of %u, listening on %s", config.node, config.nodes, config.listen.text);
	sd_notifyf(0, "READY=1\nSTATUS=0 of %u peers up", config.nodes - 1);

	err = loop_run(&loop);

	status_exit(&status);
	pulse_stop(&links.pulse);
err_links:
	spin_exit(&spin);
	links_exit(&links);
err_kernel:
	kernel_exit(&kernel);
err_loop:
	loop_close(&loop, &signals);
	loop_exit(&loop);
err:
	if (err < 0)
		log_error("giving up: %s", strerror(-err));
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The exit status if connections cannot be as secure as the configuration says, or 0. */
static int security_init(void)
{
	if (config.insecure) {
		log_warning("insecure = yes: connections are neither encrypted nor authenticated, and whoever reaches %s can read and write the shared memory",
			    config.listen.text);
		return 0;
	}
	credentials = credentials_new(&config);
	if (!credentials)
		return 2;
	return ktls_check() ? EXIT_FAILURE : 0;
}

int main(int argc, char **argv)
{
	enum config_result result;
	int exit_status;

	log_init(LOG_INFO);
	config_init(&config);
	result = config_read(&config, argc, argv);
	if (result != CONFIG_OK) {
		config_exit(&config);
		return result == CONFIG_DONE ? EXIT_SUCCESS : 2;
	}
	log_set_level(config.log_level);
	srandom((unsigned int)(clock_now_ns() ^ (uint64_t)getpid() << 20));
	limits_raise(config.nodes);

	exit_status = security_init();
	if (!exit_status)
		exit_status = run();
	credentials_free(credentials);
	config_exit(&config);
	return exit_status;
}
