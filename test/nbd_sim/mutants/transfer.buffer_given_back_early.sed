# SPDX-License-Identifier: MIT
# A write's buffer goes back to the pool while the write is in flight.
/^static void write_chunk(/,/^}/s/^	request->refs++;/&\
	if (chunk->fill == request->length) {\
		pool_give(request->conn, chunk->data);\
		chunk->data = NULL;\
	}/
