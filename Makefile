# SPDX-License-Identifier: MIT
#
# make            the library, the programs, the examples
# make demo       a real server, loaded by foreign clients (about 30 s)
# make check      every test; SAN=address,undefined for a sanitizer build
# make check-kernel-6.1   the tests under Debian's Linux 6.1, in qemu
# make windows    build/windows/: library, programs, tests, by mingw-w64
# make check-windows  those tests and programs under Wine
# make perf       peal-perf's short round: peal beside bare liburing
# make install    PREFIX=/usr/local DESTDIR=
# make V=1        show the commands

SAN ?=
BUILD ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
CC ?= cc
CXX ?= c++
AR ?= ar
OPT ?= -O2 -g
PREFIX ?= /usr/local
DESTDIR ?=
PKG_CONFIG ?= pkg-config
comma := ,

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wvla $(if $(WERROR),-Werror)
STD = -std=c11 -D_GNU_SOURCE -pthread
CXXSTD = -std=c++17 -D_GNU_SOURCE -pthread
INC = -Iinclude -I.
SANFLAGS = $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all)
ALL_CFLAGS = $(STD) $(INC) $(WARN) $(OPT) $(SANFLAGS) $(CFLAGS)

URING_LIBS = $(shell $(PKG_CONFIG) --libs liburing 2>/dev/null || echo -luring)
LIBS = $(if $(WINDOWS),-static -lws2_32 -lntdll -pthread,$(URING_LIBS) -pthread)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check 2>/dev/null)
# A sanitizer brings its own allocator: jemalloc stays out of those builds.
JEMALLOC_LIBS = $(if $(SAN),,$(shell $(PKG_CONFIG) --libs jemalloc 2>/dev/null))

# Libraries that peal-perf compares with: perf/*_uv.c and so on are built when
# theirs is installed, and PERF_HAVE_* is 1.
have = $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo 1)
HAVE_LIBUV := $(call have,libuv)
HAVE_LIBEVENT := $(call have,libevent_pthreads)
HAVE_ASIO := $(shell echo '\#include <asio/version.hpp>' | \
	$(CXX) -E -x c++ - > /dev/null 2>&1 && echo 1)
perf_not := $(if $(HAVE_LIBUV),,$(wildcard perf/*_uv.c)) \
	$(if $(HAVE_LIBEVENT),,$(wildcard perf/*_event.c)) \
	$(if $(HAVE_ASIO),,$(wildcard perf/*_asio.cc))
PERF_FLAGS = -DPERF_HAVE_LIBUV=0$(HAVE_LIBUV) \
	-DPERF_HAVE_LIBEVENT=0$(HAVE_LIBEVENT) -DPERF_HAVE_ASIO=0$(HAVE_ASIO)
PERF_LIBS = $(if $(HAVE_LIBUV),$(shell $(PKG_CONFIG) --libs libuv)) \
	$(if $(HAVE_LIBEVENT),$(shell $(PKG_CONFIG) --libs libevent libevent_pthreads)) -lm

Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

# What only one system has.
posix_src := $(wildcard lib/uring*.c) $(addprefix shim/,epoll.c watch.c \
	ready.c blocking.c posix.c entropy.c posix_thread.c limits.c memory.c \
	punts.c) $(wildcard shim/record*.c shim/replay*.c shim/sim*.c) \
	lib/arena_jemalloc.c
windows_src := $(wildcard shim/iocp*.c shim/win*.c)
lib_src  := $(filter-out $(if $(WINDOWS),$(posix_src),$(windows_src)), \
	$(wildcard lib/*.c shim/*.c))
nbd_src  := $(wildcard examples/nbd/*.c)
ex_src   := $(wildcard examples/*.c)
steps_src := perf/floor_steps.c
perf_src := $(filter-out $(steps_src) $(perf_not),$(wildcard perf/*.c))
perf_cxx := $(filter-out $(perf_not),$(wildcard perf/*.cc))
test_src := $(wildcard test/unit_*.c test/conform_*.c test/fault_*.c \
	test/proof_*.c)
help_src := $(filter-out $(test_src),$(wildcard test/*.c))
# The tests' and the programs' own calls, as far as Windows lacks them, are in
# test/windows; its headers stand in for POSIX's. The library sees none of it.
ifdef WINDOWS
EXE := .exe
test_src := $(wildcard test/conform_*.c)
nbd_src := $(filter-out examples/nbd/process.c,$(nbd_src)) \
	examples/nbd/windows/process.c
ex_src := $(filter-out examples/simulate.c,$(ex_src))
help_src := test/harness.c test/harness_io.c \
	$(filter-out test/windows/posix_program.c,$(wildcard test/windows/*.c))
calls_src := $(wildcard test/windows/posix_*.c)
CHECK_LIBS :=
JEMALLOC_LIBS :=
$(BUILD)/obj/test/%.o $(BUILD)/obj/examples/%.o: \
	INC := -Itest/windows $(INC) -D_FILE_OFFSET_BITS=64
endif
all_src  := $(lib_src) $(nbd_src) $(ex_src) $(perf_src) $(steps_src) \
	$(test_src) $(help_src) $(wildcard test/fuzz/*.c test/fuzz_record/*.c)

obj = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(1)))
lib := $(BUILD)/libpeal.a
nbd := $(BUILD)/bin/peal-nbd$(EXE)
examples := $(patsubst examples/%.c,$(BUILD)/examples/%$(EXE),$(ex_src))
perf := $(BUILD)/bin/peal-perf
steps := $(BUILD)/perf/floor_steps
tests := $(patsubst test/%.c,$(BUILD)/test/%$(EXE),$(test_src))

.PHONY: all lib examples tests peal-perf perf check demo install clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: lib $(if $(nbd_src),$(nbd)) examples $(perf)
lib: $(lib)
examples: $(examples)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXXSTD) $(INC) -Wall -Wextra $(if $(WERROR),-Werror) \
		$(OPT) $(SANFLAGS) $(CFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(lib): $(call obj,$(lib_src))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(nbd): $(call obj,$(nbd_src) $(calls_src)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/examples/%$(EXE): $(BUILD)/obj/examples/%.o $(call obj,$(calls_src)) \
		$(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Where numbers come from: changes when the revision does.
$(BUILD)/perf/revision: FORCE
	@mkdir -p $(@D)
	@git describe --always --dirty 2>/dev/null > $@.new || echo unknown > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(BUILD)/obj/perf/env.o: $(BUILD)/perf/revision
$(BUILD)/obj/perf/env.o: CFLAGS += \
	-DPERF_REVISION='"$(shell cat $(BUILD)/perf/revision 2>/dev/null)"'

$(call obj,$(perf_src) $(perf_cxx)): CFLAGS += $(PERF_FLAGS)

$(perf): $(call obj,$(perf_src) $(perf_cxx)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(if $(perf_cxx),$(CXX) $(CXXSTD) $(OPT) $(SANFLAGS),$(CC) $(ALL_CFLAGS)) \
		$(LDFLAGS) -o $@ $^ $(LIBS) $(PERF_LIBS) $(JEMALLOC_LIBS)

# What its own tests need of it.
PERF_TESTS := $(addprefix $(BUILD)/test/unit_perf_,stats frame load)
$(PERF_TESTS): $(call obj, \
	$(addprefix perf/,case.c stats.c latency.c measure.c crew.c usage.c \
	trace.c records.c))
$(PERF_TESTS): LIBS += -lm
$(BUILD)/obj/test/unit_perf_load.o: CFLAGS += $(PERF_FLAGS)

$(steps): $(call obj,$(steps_src)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/test/%$(EXE): $(BUILD)/obj/test/%.o $(call obj,$(help_src)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) $(CHECK_LIBS) \
		$(JEMALLOC_LIBS)

$(BUILD)/test/unit_uring_check: override LDFLAGS += \
	-Wl,--wrap=io_uring_register
$(BUILD)/test/unit_uring_gather: override LDFLAGS += \
	-Wl,--wrap=io_uring_enter2

$(BUILD)/test/unit_replay: override LDFLAGS += -Wl,--wrap=peal__clock

# Random programs against a model: make fuzz SEED=1 SECONDS=60 ENGINE=epoll
SEED ?= 1
SECONDS ?= 60
fuzz_src := $(wildcard test/fuzz/*.c)
fuzz := $(BUILD)/bin/peal-fuzz
$(fuzz): $(call obj,$(fuzz_src)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# peal-nbd in the simulated world: all of it but what speaks to the real one.
# Its mutants have a bug each, in it or in the world, which some seed must find.
nbd_sim_src := $(wildcard test/nbd_sim/*.c) $(filter-out \
	$(addprefix examples/nbd/,main.c listen.c process.c log.c options.c), \
	$(wildcard examples/nbd/*.c))
nbd_sim := $(BUILD)/bin/peal-nbd-sim
mutants := $(patsubst test/nbd_sim/mutants/%.sed,$(BUILD)/mutants/%, \
	$(wildcard test/nbd_sim/mutants/*.sed))
$(nbd_sim): $(call obj,$(nbd_sim_src)) $(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

mutated = $(wildcard $(addsuffix /$(basename $1).c,examples/nbd shim))
$(BUILD)/mutants/%: test/nbd_sim/mutants/%.sed $(nbd_sim)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)sed -f $< $(call mutated,$*) > $@.c
	$(Q)! cmp -s $@.c $(call mutated,$*)
	$(Q)$(CC) $(ALL_CFLAGS) -Iexamples/nbd -c -o $@.o $@.c
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $@.o $(filter-out \
		$(BUILD)/obj/examples/nbd/$(basename $*).o, \
		$(call obj,$(nbd_sim_src))) $(lib) $(LIBS)

soak: $(nbd_sim)
	@$(nbd_sim) --seed $(SEED) --seconds $(SECONDS)

fuzz: $(fuzz)
	@$(fuzz) --seed $(SEED) --seconds $(SECONDS) \
		$(if $(ENGINE),--engine $(ENGINE))

# Damaged records, found by coverage: make fuzz-record SECONDS=60. What it has
# found stays in $(BUILD)/fuzz_record/corpus; a crash in crash-*, beside it.
record_fuzz := $(BUILD)/record-fuzz
$(record_fuzz): $(call obj,test/fuzz_record/main.c test/busy.c test/damaged.c) \
		$(lib)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) \
		-Wl,--wrap=peal__clock -o $@ $^ $(LIBS)

.PHONY: fuzz-record
fuzz-record:
	@test/packages fuzz
	@$(MAKE) --no-print-directory $(BUILD)/fuzz_record/record-fuzz CC=clang \
		SAN=address,undefined BUILD=$(BUILD)/fuzz_record \
		CFLAGS="$(CFLAGS) -fsanitize=fuzzer-no-link"
	@mkdir -p $(BUILD)/fuzz_record/corpus
	@cd $(BUILD)/fuzz_record && PEAL_FUZZ_FIRST=corpus ./record-fuzz \
		-max_total_time=$(SECONDS) -timeout=10 -max_len=65536 \
		-print_final_stats=1 corpus

tests: $(tests) $(if $(WINDOWS),,$(fuzz) $(nbd_sim) $(mutants))

check: packages
	@$(MAKE) --no-print-directory all tests $(steps) SAN=$(SAN) BUILD=$(BUILD)
	@BUILD=$(BUILD) SAN=$(SAN) CC="$(CC)" CXX="$(CXX)" test/run

.PHONY: packages
packages:
	@test/packages check

# The tests under another kernel, statically linked: see test/kernel/README.
KERNEL ?= 6.1
GLOB ?= *
.PHONY: check-kernel
check-kernel:
	@test/packages kernel
	@$(MAKE) --no-print-directory lib tests SAN= BUILD=$(BUILD)/static \
		LDFLAGS=-static JEMALLOC_LIBS= \
		CHECK_LIBS="$$($(PKG_CONFIG) --static --libs check)"
	@BUILD=$(BUILD) CC="$(CC)" test/kernel/run '$(KERNEL)' '$(GLOB)'

check-kernel-%:
	@$(MAKE) --no-print-directory check-kernel KERNEL=$*

# The library for Windows, cross-built; see shim/README.
MINGW ?= x86_64-w64-mingw32-
WINDOWS_MAKE = $(MAKE) --no-print-directory WINDOWS=1 CC=$(MINGW)gcc \
	AR=$(MINGW)ar BUILD=$(BUILD)/windows SAN=
.PHONY: windows
windows:
	+@$(WINDOWS_MAKE) lib examples tests $(BUILD)/windows/bin/peal-nbd.exe \
		$(BUILD)/windows/what_runs.exe

$(BUILD)/what_runs.exe: $(call obj,test/ops/what_runs.c) $(lib)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: check-windows
check-windows:
	@test/packages windows
	@$(MAKE) --no-print-directory windows
	@BUILD=$(BUILD)/windows WINDOWS=1 test/run '$(GLOB)'

demo:
	@examples/nbd/demo

peal-perf: $(perf)

perf: $(perf) $(steps)
	@$(perf) nop
	@$(perf) file --dir $(BUILD)
	@$(steps)

compile_commands.json: Makefile $(all_src)
	@{ sep='['; for f in $(all_src); do \
	  printf '%s\n {"directory":"%s","file":"%s","command":"%s -c %s"}' \
	    "$$sep" "$(CURDIR)" "$$f" '$(CC) $(strip $(ALL_CFLAGS))' "$$f"; \
	  sep=','; done; printf '\n]\n'; } > $@

install: lib $(nbd) $(perf)
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/bin \
		$(DESTDIR)$(PREFIX)/include/peal
	install -m 644 $(lib) $(DESTDIR)$(PREFIX)/lib/
	install -m 644 include/peal.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 include/peal/*.h $(DESTDIR)$(PREFIX)/include/peal/
	install -m 755 $(nbd) $(perf) $(DESTDIR)$(PREFIX)/bin/
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: peal' \
		'Description: completion-based I/O' 'Version: 0.1.0' \
		'Cflags: -I$${prefix}/include' \
		'Libs: -L$${prefix}/lib -lpeal -pthread' \
		'Requires: liburing' \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/peal.pc

clean:
	rm -rf build compile_commands.json

-include $(patsubst %,$(BUILD)/obj/%.d,$(basename $(all_src) $(calls_src) \
	$(perf_cxx)))
