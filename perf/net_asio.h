/* SPDX-License-Identifier: MIT */
/*
 * The same server on standalone Asio. It is compiled twice, for Asio chooses
 * its back end when it is compiled; each in a namespace of its own, so that one
 * program can have both.
 */
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <vector>
#include "perf/net.h"

namespace {

const struct net_job *job;

class connection {
public:
	explicit connection(asio::ip::tcp::socket &&taken)
		: socket(std::move(taken)), chunk(job->chunk)
	{
	}

	void receive()
	{
		socket.async_read_some(
			asio::buffer(chunk),
			[this](std::error_code error, std::size_t got) {
				on_received(error, got);
			});
	}

private:
	asio::ip::tcp::socket socket;
	std::vector<char> chunk;

	void on_received(std::error_code error, std::size_t got)
	{
		if (error) {
			delete this;
			return;
		}
		job->page->bytes += got;
		if (job->stream) {
			receive();
			return;
		}
		asio::async_write(
			socket, asio::buffer(chunk.data(), got),
			[this](std::error_code failed, std::size_t) {
				if (failed)
					delete this;
				else
					receive();
			});
	}
};

void take(asio::ip::tcp::acceptor &acceptor)
{
	acceptor.async_accept([&acceptor](std::error_code error,
					  asio::ip::tcp::socket socket) {
		if (error)
			net_cannot(job->page, "accept: %s",
				   error.message().c_str());
		socket.set_option(asio::ip::tcp::no_delay(true));
		job->page->accepted++;
		(new connection(std::move(socket)))->receive();
		take(acceptor);
	});
}

void serve(const struct net_job *given, const char *setup)
{
	job = given;
	try {
		asio::io_context context(1);
		asio::ip::tcp::acceptor acceptor(context, asio::ip::tcp::v4(),
						 job->listener);

		take(acceptor);
		net_serving(job->page, setup);
		context.run();
	} catch (const std::exception &error) {
		net_cannot(job->page, "asio: %s", error.what());
	}
}

} /* namespace */
