/* SPDX-License-Identifier: MIT */
/* The workloads there are; each is in the file of its command. */
#ifndef PEAL_PERF_WORKLOADS_H
#define PEAL_PERF_WORKLOADS_H

struct workload;
extern const struct workload workload_file, workload_models, workload_net,
	workload_nop, workload_timers, workload_wake;

#endif
