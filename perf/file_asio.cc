/* SPDX-License-Identifier: MIT */
/*
 * The file workload on Asio's random_access_file, which is on io_uring. One
 * object has one read in the kernel at a time and queues the others, so each
 * slot has an object of its own on a dup of the descriptor.
 */
#define ASIO_HAS_IO_URING 1
#define ASIO_STANDALONE 1
#include <asio.hpp>
#include <chrono>
#include <deque>
#include <unistd.h>
#include "perf/file.h"
#include "perf/file_sides.h"

namespace {

struct state {
	asio::io_context context{1};
	std::deque<asio::random_access_file> files;
	asio::steady_timer timer{context};
	file_job job;
};

void start_all(state *state);

struct on_ended {
	struct state *state;
	unsigned slot;

	void operator()(const asio::error_code &error, std::size_t bytes)
	{
		file_ended(&state->job, slot,
			   error ? -static_cast<int64_t>(error.value())
				 : static_cast<int64_t>(bytes));
		if (!state->job.error)
			start_all(state);
	}
};

void start_all(state *state)
{
	file_job *job = &state->job;
	uint64_t ns;
	int slot;

	while ((slot = file_next(job)) >= 0) {
		const file_op *op = &job->ops[slot];
		on_ended handler = {state, static_cast<unsigned>(slot)};

		if (op->kind == FILE_READ)
			state->files[slot].async_read_some_at(op->offset,
				asio::buffer(op->buf, job->block), handler);
		else
			state->files[slot].async_write_some_at(op->offset,
				asio::buffer(op->buf, job->block), handler);
	}
	ns = file_wait_ns(job);
	if (ns == UINT64_MAX)
		return;
	state->timer.expires_after(std::chrono::nanoseconds(ns));
	state->timer.async_wait([state](const asio::error_code &error) {
		if (!error)
			start_all(state);
	});
}

const char *open_files(state *state)
{
	asio::error_code error;
	unsigned i;

	for (i = 0; i < state->job.depth; i++) {
		int fd = dup(state->job.fd);

		if (fd < 0)
			return why_errno("dup", -errno);
		state->files.emplace_back(state->context);
		state->files.back().assign(fd, error);
		if (error)
			return why("random_access_file: %s",
				   error.message().c_str());
	}
	return nullptr;
}

const char *open_side(void **out_state, const perf_case *at)
{
	state *state;
	const char *wrong;

	if (case_text(at, "sync")[0] == 'e')
		return "Asio has no asynchronous sync";
	state = new struct state;
	wrong = file_job_open(&state->job, at, nullptr);
	if (!wrong) {
		wrong = open_files(state);
		if (wrong)
			file_job_close(&state->job);
	}
	if (wrong)
		delete state;
	*out_state = state;
	return wrong;
}

const char *run(void *arg, slice *slice)
{
	state *state = static_cast<struct state *>(arg);

	file_begin(&state->job, slice);
	state->context.restart();
	start_all(state);
	while (file_going(&state->job) && state->context.run_one())
		;
	state->timer.cancel();
	state->context.poll();
	return file_end(&state->job);
}

void count(void *arg, counters *out)
{
	file_job_count(&static_cast<state *>(arg)->job, out);
}

void close_side(void *arg)
{
	state *state = static_cast<struct state *>(arg);

	state->context.restart();
	while (state->job.in_flight && state->context.run_one())
		;
	file_job_close(&state->job);
	delete state;
}

side make_side()
{
	side it = side();

	it.name = "asio";
	it.open = open_side;
	it.run = run;
	it.count = count;
	it.close = close_side;
	it.no_variants = 1;
	return it;
}

} // namespace

extern "C" {
extern const side file_asio;
const side file_asio = make_side();
}
