// SPDX-License-Identifier: GPL-2.0
/*
 * stream MARK COMMAND [ARG]...
 *
 * Runs COMMAND and copies what it writes to the standard output, as it comes. The
 * command writes to a terminal, so that stdio flushes each line and a crash loses
 * nothing. After the last byte come a NUL, MARK, and COMMAND's exit status as a shell
 * would see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Only interrupts ppoll(). */
static void sigchld(int signo)
{
	(void)signo;
}

static void write_all(const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, buf, len);

		if (n < 0 && errno != EINTR)
			exit(125);
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
}

/* Copies what there is; false once the terminal's last user has gone. */
static int copy(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		write_all(buf, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static pid_t start(char **argv, int *fd)
{
	struct termios raw = {};
	struct winsize size = { .ws_row = 50, .ws_col = 200 };
	pid_t pid;

	cfmakeraw(&raw);
	cfsetspeed(&raw, B38400);
	raw.c_cflag |= CREAD;
	pid = forkpty(fd, NULL, &raw, &size);
	if (pid < 0) {
		perror("stream: forkpty");
		exit(125);
	}
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, STDIN_FILENO);
		close(null);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = sigchld };
	sigset_t mask, unmasked;
	struct pollfd pfd = { .events = POLLIN };
	int status, open = 1;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: stream MARK COMMAND [ARG]...\n");
		return 2;
	}

	pid = start(argv + 2, &pfd.fd);
	fcntl(pfd.fd, F_SETFL, O_NONBLOCK);

	/* SIGCHLD arrives only inside ppoll(), so none is missed. */
	sigaction(SIGCHLD, &act, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &unmasked);
	sigdelset(&unmasked, SIGCHLD);

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (ppoll(&pfd, open, NULL, &unmasked) > 0)
			open = copy(pfd.fd);
	}
	while (open && poll(&pfd, 1, 0) > 0)
		open = copy(pfd.fd);

	dprintf(STDOUT_FILENO, "%c%s%d\n", 0, argv[1],
		WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}
