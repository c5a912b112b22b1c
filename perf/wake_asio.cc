/* SPDX-License-Identifier: MIT */
/* Messages to an io_context of Asio. */
#define ASIO_STANDALONE 1
#include <asio.hpp>
#include "perf/wake.h"

namespace {

struct loop {
	asio::io_context context{1};
	asio::executor_work_guard<asio::io_context::executor_type> guard{
		context.get_executor()};
};

const char *open_loop(wake_loop *where)
{
	where->state = new loop;
	return nullptr;
}

int post(wake_loop *where)
{
	asio::post(static_cast<loop *>(where->state)->context,
		   [where] { wake_came(where, 1); });
	return 0;
}

const char *run(wake_loop *where, uint64_t until)
{
	while (where->seen < until)
		static_cast<loop *>(where->state)->context.run_one();
	return nullptr;
}

void close_loop(wake_loop *where)
{
	delete static_cast<loop *>(where->state);
}

const wake_kind on_asio = {open_loop, post, run, close_loop};

const char *open_side(void **out_state, const perf_case *at)
{
	return wake_open(&on_asio, out_state, at);
}

side make_side()
{
	side it = side();

	it.name = "asio";
	it.open = open_side;
	it.run = wake_run;
	it.count = wake_count;
	it.close = wake_close;
	return it;
}

} // namespace

extern "C" {
extern const side wake_asio;
const side wake_asio = make_side();
}
