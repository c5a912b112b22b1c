/* SPDX-License-Identifier: MIT */
/*
 * Signals, read from a descriptor as data like any other, and the command of
 * --run. The signals stay blocked in the server and are unblocked again in the
 * command.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "nbd.h"

extern char **environ;

static peal_handler on_signal;

int process_open_signals(struct server *server)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);	/* standard error may be a dead pipe */
	signal(SIGXFSZ, SIG_IGN);	/* a write past the limit is an error */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return server->signal_fd < 0 ? -errno : 0;
}

int process_watch_signals(struct server *server)
{
	server->signal_read = peal_read(server->ring, server->signal_fd,
					&server->signal,
					sizeof(server->signal), PEAL_CURRENT,
					0, on_signal, server);
	return server->signal_read < 0 ? (int)server->signal_read : 0;
}

static void reap(struct server *server)
{
	int status;

	if (!server->child ||
	    waitpid(server->child, &status, WNOHANG) != server->child)
		return;
	server->child = 0;
	if (server->exit_code == EXIT_OK)
		server->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) :
			128 + WTERMSIG(status);
	log_verbose("the command ended with status %d", server->exit_code);
	/* If it ended because we stop, its end is not a second request. */
	if (server->state == SERVING)
		server_stop(server);
}

static void stop(struct server *server, const char *name)
{
	log_verbose("%s: stopping", name);
	if (server->child)
		kill(server->child, server->state == SERVING ? SIGTERM :
		     SIGKILL);
	server_stop(server);
}

static void on_signal(struct peal_ring *ring,
		      const struct peal_completion *done)
{
	struct server *server = done->ctx;

	(void)ring;
	if (done->result == sizeof(server->signal)) {
		switch (server->signal.ssi_signo) {
		case SIGTERM:
			stop(server, "SIGTERM");
			break;
		case SIGINT:
			stop(server, "SIGINT");
			break;
		case SIGCHLD:
			reap(server);
			break;
		default:
			server_print_stats(server);
		}
	} else if (done->result != -EINTR && done->result != -EAGAIN) {
		return;		/* the ring is closing */
	}
	process_watch_signals(server);
}

/* Starts the command of --run, with $uri and $unixsocket in its environment. */
int process_run(struct server *server)
{
	char *argv[] = { (char *)"sh", (char *)"-c",
			 (char *)server->options->run, NULL };
	posix_spawnattr_t attr;
	sigset_t none, ignored;
	int error;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	sigaddset(&ignored, SIGXFSZ);
	if (setenv("uri", server->uri, 1) ||
	    setenv("unixsocket", server->unix_path, 1) ||
	    posix_spawnattr_init(&attr))
		return -ENOMEM;
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ignored);
	error = posix_spawn(&server->child, "/bin/sh", NULL, &attr, argv,
			    environ);
	posix_spawnattr_destroy(&attr);
	if (error) {
		server->child = 0;
		log_error("--run: cannot start /bin/sh: %s",
			  peal_strerror(-error));
	}
	return -error;
}
