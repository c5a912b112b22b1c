/* SPDX-License-Identifier: MIT */
/*
 * What lib/ and the shims need of Windows besides I/O: the clock, threads.
 * There are no signals and no fork there.
 */
#define _CRT_RAND_S
#include <stdlib.h>
#include <pthread.h>
#include "lib/engine.h"
#include "shim/system.h"
#include "shim/win.h"
#include "shim/winerr.h"
#include <winternl.h>

#define FileModeInformation_ ((FILE_INFORMATION_CLASS)16)
#define SYNCHRONOUS 0x30	/* FILE_SYNCHRONOUS_IO_ALERT, _NONALERT */

uint64_t peal__clock(void)
{
	LARGE_INTEGER now, hz;

	QueryPerformanceFrequency(&hz);
	QueryPerformanceCounter(&now);
	return (uint64_t)(now.QuadPart / hz.QuadPart) * PEAL_S +
	       (uint64_t)(now.QuadPart % hz.QuadPart) * PEAL_S /
		       (uint64_t)hz.QuadPart;
}

uint64_t peal__clock_coarse(void)
{
	return GetTickCount64() * PEAL_MS;
}

void peal__yield(void)
{
	SwitchToThread();
}

uint32_t peal__thread_id(void)
{
	return (uint32_t)GetCurrentThreadId();
}

int peal__thread_start(pthread_t *out_id, void *(*fn)(void *arg), void *arg)
{
	return pthread_create(out_id, NULL, fn, arg);
}

void peal__at_fork(void (*before)(void), void (*after)(void),
		   void (*in_child)(void))
{
	(void)before;
	(void)after;
	(void)in_child;
}

void peal__sigpipe_block(void)
{
}

void peal__sigpipe_restore(void)
{
}

/* --- errors, handles ------------------------------------------------------ */

int peal__win_errno(uint32_t code)
{
	int error = peal__winerr_find(code);

	if (!error && code >> 30 == 3)
		error = peal__winerr_find(
			RtlNtStatusToDosError((NTSTATUS)code));
	return error ? -error : -EIO;
}

int peal__win_last(void)
{
	return peal__win_errno(GetLastError());
}

static int sockets_error;

static void start_sockets(void)
{
	WSADATA data;

	sockets_error = WSAStartup(MAKEWORD(2, 2), &data);
}

int peal__win_start_sockets(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start_sockets);
	return sockets_error ? peal__win_errno((uint32_t)sockets_error) : 0;
}

static enum peal__win_kind pipe_kind(int32_t fd)
{
	int type = 0, len = sizeof type;

	if (getsockopt(peal__win_socket(fd), SOL_SOCKET, SO_TYPE,
		       (char *)&type, &len) != 0)
		return WIN_PIPE;
	return type == SOCK_STREAM ? WIN_STREAM : WIN_DGRAM;
}

enum peal__win_kind peal__win_kind(int32_t fd)
{
	FILE_BASIC_INFO basic;
	DWORD flags;

	if (fd < 0 || !GetHandleInformation(peal__win_handle(fd), &flags))
		return WIN_NONE;
	switch (GetFileType(peal__win_handle(fd))) {
	case FILE_TYPE_PIPE:
		return pipe_kind(fd);
	case FILE_TYPE_DISK:
		break;
	case FILE_TYPE_CHAR:
		return WIN_OTHER;
	default:	/* an event, a thread: nothing that has I/O */
		return WIN_NONE;
	}
	if (GetFileInformationByHandleEx(peal__win_handle(fd), FileBasicInfo,
					 &basic, sizeof basic) &&
	    basic.FileAttributes & FILE_ATTRIBUTE_DIRECTORY)
		return WIN_DIR;
	return WIN_FILE;
}

int peal__win_waits(int32_t fd)
{
	IO_STATUS_BLOCK status;
	ULONG mode = 0;

	return NtQueryInformationFile(peal__win_handle(fd), &status, &mode,
				      sizeof mode,
				      FileModeInformation_) == 0 &&
	       mode & SYNCHRONOUS;
}

int peal__win_close(int32_t fd)
{
	enum peal__win_kind kind = peal__win_kind(fd);

	if (kind == WIN_NONE)
		return -EBADF;
	if (peal__win_is_socket(kind))
		return closesocket(peal__win_socket(fd)) ? peal__win_last()
							 : 0;
	return CloseHandle(peal__win_handle(fd)) ? 0 : peal__win_last();
}

/* rand_s() asks the system each time. */
void peal__entropy(void *buf, size_t len)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (i % sizeof value == 0 && rand_s(&value) != 0)
			value = (unsigned)peal__clock();
		((unsigned char *)buf)[i] =
			(unsigned char)(value >> i % sizeof value * 8);
	}
}
