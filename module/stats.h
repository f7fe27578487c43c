/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_STATS_H
#define _DSM_STATS_H

/* A region's counters: the name is the sysfs file's. */
#define DSM_STAT_LIST(X)						\
	X(faults_read)		/* read faults */			\
	X(faults_write)		/* write faults */			\
	X(faults_remote_read)	/* ... that had to wait for others */	\
	X(faults_remote_write)						\
	X(fault_wait_ns)	/* time spent waiting in them */	\
	X(bytes_in)		/* page bytes received */		\
	X(bytes_out)		/* page bytes sent */			\
	X(invalidations)	/* copies taken from this node */	\
	X(downgrades)		/* write access taken from this node */	\
	X(upgrades)		/* granted without data */		\
	X(zero_grants)		/* granted as zeroes */			\
	X(prefetches)		/* fetches nobody waited for */		\
	X(discards)		/* blocks discarded for this node */	\
	X(frames_freed)		/* blocks whose frames were freed */	\
	X(evicted_clean)	/* copies taken to make room, unwritten */ \
	X(evicted_dirty)	/* ... or written: the bytes were sent */ \
	X(reclaim_waits)	/* allocations that waited for room */	\
	X(lost)			/* blocks that went or came without bytes */ \
	X(held)			/* revocations that waited for hold_us */ \
	X(pinned)		/* ... for a page under DMA */		\
	X(revoked_later)	/* ... left to a worker, for many mappings */ \
	X(retries)		/* lost again before it could be used */ \
	X(timeouts)		/* accesses that got SIGBUS */		\
	X(sync_calls)		/* DSM_IOC_SYNC */			\
	X(mutexes_in)		/* mutexes that came to this node */

enum dsm_stat {
#define X(name) DSM_STAT_##name,
	DSM_STAT_LIST(X)
#undef X
	DSM_STATS
};

#endif /* _DSM_STATS_H */
