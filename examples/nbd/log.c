/* SPDX-License-Identifier: MIT */
/*
 * The log: one line per event on standard error. Standard output is left to
 * whoever started us: nbdinfo and --run commands write there.
 *
 * Lines about clients are limited per second, so that a hostile client cannot
 * fill a disk; what was left out is counted and said. Of what a client sent,
 * only printable characters get here: it cannot forge lines either.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include "nbd.h"

enum { CLIENT_LINES_PER_SECOND = 20 };

static enum log_level wanted = LOG_NORMAL;

static struct {
	time_t second;
	unsigned lines;
	unsigned long left_out;
} client_lines;

void log_set_level(enum log_level level)
{
	wanted = level;
}

bool log_is_verbose(void)
{
	return wanted >= LOG_VERBOSE;
}

/* One write, so that lines of several processes do not mix. */
static void line(const char *prefix, const char *format, va_list args)
{
	char text[2048];

	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "peal-nbd: %s%s\n", prefix, text);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line("", format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	if (wanted < LOG_NORMAL)
		return;
	va_start(args, format);
	line("", format, args);
	va_end(args);
}

void log_verbose(const char *format, ...)
{
	va_list args;

	if (wanted < LOG_VERBOSE)
		return;
	va_start(args, format);
	line("", format, args);
	va_end(args);
}

static bool client_line_allowed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != client_lines.second) {
		if (client_lines.left_out)
			fprintf(stderr, "peal-nbd: %lu more lines about "
				"clients were left out\n",
				client_lines.left_out);
		client_lines.second = now.tv_sec;
		client_lines.lines = 0;
		client_lines.left_out = 0;
	}
	if (client_lines.lines < CLIENT_LINES_PER_SECOND) {
		client_lines.lines++;
		return true;
	}
	client_lines.left_out++;
	return false;
}

const char *log_text(char *out, const uint8_t *text, size_t len)
{
	size_t most = LOG_TEXT_LEN - sizeof("...");
	size_t end = len < most ? len : most;

	for (size_t i = 0; i < end; i++)
		out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] :
				'?');
	snprintf(out + end, LOG_TEXT_LEN - end, "%s", len > most ? "..." : "");
	return out;
}

void log_client(const struct connection *conn, const char *format, ...)
{
	char prefix[sizeof(conn->name) + 16];
	va_list args;

	if (wanted < LOG_NORMAL || !client_line_allowed())
		return;
	snprintf(prefix, sizeof(prefix), "client %s: ", conn->name);
	va_start(args, format);
	line(prefix, format, args);
	va_end(args);
}
