/* SPDX-License-Identifier: MIT */
/*
 * The NBD protocol's numbers, and big-endian loads and stores. Names are the
 * protocol document's. All fields on the wire are big-endian and unaligned.
 */
#ifndef NBD_PROTO_H
#define NBD_PROTO_H

#include <stdint.h>

#define NBD_MAGIC		UINT64_C(0x4e42444d41474943) /* NBDMAGIC */
#define NBD_OPTION_MAGIC	UINT64_C(0x49484156454f5054) /* IHAVEOPT */
#define NBD_OPTION_REPLY_MAGIC	UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC	0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC	0x67446698u

enum {
	NBD_HELLO_LEN = 18,
	NBD_CLIENT_FLAGS_LEN = 4,
	NBD_OPTION_LEN = 16,
	NBD_OPTION_REPLY_LEN = 20,
	NBD_REQUEST_LEN = 28,
	NBD_REPLY_LEN = 16,
	NBD_OLD_PADDING_LEN = 124,
};

/* handshake flags, client flags */
#define NBD_FLAG_FIXED_NEWSTYLE	(1u << 0)
#define NBD_FLAG_NO_ZEROES	(1u << 1)

/* transmission flags */
#define NBD_FLAG_HAS_FLAGS	(1u << 0)
#define NBD_FLAG_READ_ONLY	(1u << 1)
#define NBD_FLAG_SEND_FLUSH	(1u << 2)
#define NBD_FLAG_SEND_FUA	(1u << 3)
#define NBD_FLAG_SEND_TRIM	(1u << 5)
#define NBD_FLAG_SEND_WRITE_ZEROES (1u << 6)
#define NBD_FLAG_CAN_MULTI_CONN	(1u << 8)
#define NBD_FLAG_SEND_CACHE	(1u << 10)
#define NBD_FLAG_SEND_FAST_ZERO	(1u << 11)

enum {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
};

#define NBD_REP_ACK		1u
#define NBD_REP_SERVER		2u
#define NBD_REP_INFO		3u
#define NBD_REP_ERROR		(1u << 31)
#define NBD_REP_ERR_UNSUP	(NBD_REP_ERROR | 1)
#define NBD_REP_ERR_INVALID	(NBD_REP_ERROR | 3)
#define NBD_REP_ERR_UNKNOWN	(NBD_REP_ERROR | 6)
#define NBD_REP_ERR_SHUTDOWN	(NBD_REP_ERROR | 7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD (NBD_REP_ERROR | 8)
#define NBD_REP_ERR_TOO_BIG	(NBD_REP_ERROR | 9)

enum {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_BLOCK_SIZE = 3,
};

enum {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
};

#define NBD_CMD_FLAG_FUA	(1u << 0)
#define NBD_CMD_FLAG_NO_HOLE	(1u << 1)
#define NBD_CMD_FLAG_FAST_ZERO	(1u << 4)

enum {
	NBD_EPERM = 1,
	NBD_EIO = 5,
	NBD_ENOMEM = 12,
	NBD_EINVAL = 22,
	NBD_ENOSPC = 28,
	NBD_ENOTSUP = 95,
	NBD_ESHUTDOWN = 108,
};

static inline uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t load32(const uint8_t *at)
{
	return (uint32_t)load16(at) << 16 | load16(at + 2);
}

static inline uint64_t load64(const uint8_t *at)
{
	return (uint64_t)load32(at) << 32 | load32(at + 4);
}

static inline uint8_t *store16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static inline uint8_t *store32(uint8_t *at, uint32_t value)
{
	return store16(store16(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline uint8_t *store64(uint8_t *at, uint64_t value)
{
	return store32(store32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

#endif
