/* SPDX-License-Identifier: MIT */
/* The plain call of every operation on Windows: the pool runs it. */
#include "lib/engine.h"
#include "shim/win.h"

static int64_t call_close(const struct peal__sqe *sqe)
{
	return peal__win_close(sqe->fd);
}

static peal__win_call *const calls[PEAL__OP_COUNT] = {
	[PEAL__OP_CLOSE] = call_close,
};

int peal__blocking_has(unsigned opcode)
{
	return opcode < PEAL__OP_COUNT && calls[opcode] != NULL;
}

int64_t peal__blocking_run(const struct peal__sqe *sqe)
{
	DWORD saved = GetLastError();
	int64_t rc = -EOPNOTSUPP;

	if (peal__blocking_has(sqe->opcode))
		rc = calls[sqe->opcode](sqe);
	SetLastError(saved);
	return rc;
}
