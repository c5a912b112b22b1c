/* SPDX-License-Identifier: MIT */
/*
 * In the place of ../process.c on Windows: a console's Ctrl-C, its closing and
 * the end of the session stop the server as SIGTERM does. There is no --run.
 */
#include <errno.h>
#include "examples/nbd/nbd.h"
#include <windows.h>

static struct server *served;

static void on_stop(struct peal_ring *ring, void *ctx)
{
	(void)ring;
	log_verbose("Ctrl-C: stopping");
	server_stop(ctx);
}

/* Windows runs it in a thread of its own. After a closed console the process is
 * ended when it returns: it waits for the server to have gone. */
static BOOL WINAPI on_control(DWORD event)
{
	if (peal_post(served->ring, on_stop, served) != 0)
		return FALSE;
	if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
		Sleep(INFINITE);
	return TRUE;
}

int process_open_signals(struct server *server)
{
	(void)server;
	return 0;
}

/* Only now is there a ring to post to. */
int process_watch_signals(struct server *server)
{
	served = server;
	return SetConsoleCtrlHandler(on_control, TRUE) ? 0 : -EPERM;
}

int process_run(struct server *server)
{
	(void)server;
	log_error("--run: not on Windows");
	return -ENOSYS;
}
