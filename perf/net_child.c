/* SPDX-License-Identifier: MIT */
/* A server in a process of its own: see net_child.h. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "perf/net_child.h"
#include "perf/side.h"
#include "perf/usage.h"

enum { BACKLOG = 4096, PATIENCE_MS = 5000, PATIENCE_CPU_NS = 20000000 };

static int make_listener(struct sockaddr_in *addr)
{
	socklen_t len = sizeof *addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(addr, 0, sizeof *addr);
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)addr, sizeof *addr) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Nothing of the other servers and their clients: descriptors here are low
 * (select needs that), and a connection ends when its client closes it. */
static int close_the_rest(int listener)
{
	if (listener != 3 && dup2(listener, 3) != 3)
		return -1;
	return (int)syscall(SYS_close_range, 4, ~0u, 0);
}

/* jemalloc's, if the program is linked with it. */
extern int mallctl(const char *, void *, size_t *, void *, size_t)
	__attribute__((weak));

/* What the command had freed and a server takes would not count as the
 * server's: it goes back to the system first. */
static void forget_freed_memory(void)
{
	malloc_trim(0);
	if (mallctl)		/* 4096: every arena */
		mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

static _Noreturn void run_server(const struct net_way *way,
				 const struct net_job *job, pid_t parent)
{
	struct net_job own = *job;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (close_the_rest(job->listener) < 0)
		net_cannot(job->page, "close_range: %s", strerror(errno));
	own.listener = 3;
	forget_freed_memory();
	signal(SIGINT, SIG_IGN);	/* the command ends us */
	signal(SIGPIPE, SIG_IGN);
	way->serve(&own, way->variant);
	net_cannot(job->page, "the server ended by itself");
}

static void pause_us(long us)
{
	const struct timespec moment = { .tv_nsec = us * 1000 };

	nanosleep(&moment, NULL);
}

static const char *wait_until_serving(struct net_child *child)
{
	int ms, state;

	for (ms = 0; ms < PATIENCE_MS; ms++) {
		state = (int)__atomic_load_n(&child->page->state,
					     __ATOMIC_ACQUIRE);
		if (state == NET_SERVING)
			return NULL;
		if (state == NET_CANNOT)
			return why("%s", child->page->reason);
		if (waitpid(child->pid, NULL, WNOHANG) == child->pid) {
			child->pid = 0;
			return "the server died";
		}
		pause_us(1000);
	}
	return "the server did not start";
}

const char *net_child_start(struct net_child *child,
			    const struct net_way *way,
			    const struct net_job *job)
{
	struct net_job own = *job;
	pid_t parent = getpid();
	const char *reason;

	memset(child, 0, sizeof *child);
	child->counter = -1;
	child->page = mmap(NULL, sizeof *child->page, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child->page == MAP_FAILED)
		return "no memory for a shared page";
	own.page = child->page;
	own.listener = make_listener(&child->addr);
	if (own.listener < 0) {
		munmap(child->page, sizeof *child->page);
		return why_errno("listen", own.listener);
	}
	child->spins = way->flags & NET_SPINS;
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0)
		run_server(way, &own, parent);
	if (child->pid > 0)
		child->counter = usage_counter(child->pid);
	close(own.listener);
	reason = child->pid < 0 ? "fork failed" : wait_until_serving(child);
	if (!reason && clock_getcpuclockid(child->pid, &child->clock))
		reason = "no processor clock of another process";
	if (reason)
		net_child_end(child);
	return reason;
}

void net_child_end(struct net_child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	if (child->counter >= 0)
		close(child->counter);
	munmap(child->page, sizeof *child->page);
}

void net_child_rest(const struct net_child *child)
{
	if (child->spins)
		kill(child->pid, SIGSTOP);
}

void net_child_go_on(const struct net_child *child)
{
	if (child->spins)
		kill(child->pid, SIGCONT);
}

static int on_processor(const struct net_child *child)
{
	char path[64], text[96];
	const char *at;
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)child->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[got < 0 ? 0 : got] = '\0';
	at = strrchr(text, ')');
	return at && at[1] == ' ' && at[2] == 'R';
}

/* The clock of another process moves when one of its threads leaves a
 * processor, and with the kernel's tick, every 4 or 10 ms: right after a slice
 * it may lack all of it. A server with nothing to do, or stopped, leaves at
 * once; one that others keep from a processor has left it. It is said to sleep
 * a moment before it has left: hence the second look. */
double net_child_cpu(const struct net_child *child)
{
	uint64_t patience = clock_now() + PATIENCE_CPU_NS;
	struct timespec ts;

	do {
		while (on_processor(child) && clock_now() < patience)
			pause_us(20);
		pause_us(100);
	} while (on_processor(child) && clock_now() < patience);
	if (clock_gettime(child->clock, &ts) < 0)
		return -1;
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int net_child_ask(struct net_child *child, const struct net_way *way)
{
	uint32_t asked = child->page->asked;
	int ms;

	if (!(way->flags & NET_COUNTS))
		return 0;
	if (!(way->flags & NET_ASKED))
		return 1;
	asked = __atomic_load_n(&child->page->answered, __ATOMIC_ACQUIRE);
	kill(child->pid, SIGUSR1);
	for (ms = 0; ms < 1000; ms++) {
		if (__atomic_load_n(&child->page->answered,
				    __ATOMIC_ACQUIRE) != asked)
			return 1;
		pause_us(1000);
	}
	return 0;
}

/* --- memory -------------------------------------------------------------- */

static double field(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	size_t len = strlen(name);
	char line[256];
	double kib = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtod(line + len + 1, NULL);
	fclose(file);
	return kib * 1024;
}

void net_child_memory(const struct net_child *child, struct net_memory *out)
{
	static const char meminfo[] = "/proc/meminfo";
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)child->pid);
	out->heap = field(path, "Anonymous");
	out->kernel = field(meminfo, "Slab") + field(meminfo, "KernelStack") +
		      field(meminfo, "PageTables");
}
