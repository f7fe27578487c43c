// SPDX-License-Identifier: GPL-2.0
/*
 * Invariants, checked after every step:
 *
 * - by page tables there is one writer or there are only readers;
 * - a readable copy has the version of the last write;
 * - no node refuses another's message; queued requests are served in the order of arrival, and
 *   none is lost (node.c);
 * - between transactions, the home's entry names the nodes that have the block or will have it
 *   through messages on their way from the home;
 * - every access ends within a bounded time, and so does the run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

/* A violation's report consists of the last steps of its block. */
#define LOG_SIZE	60

struct record {
	u64 time;
	struct dsm_coh_msg msg;
	u16 node;
	u8 kind;
	u8 event;
	u8 line;
	u8 dir;
	u8 busy;
};

struct log {
	u64 n;
	struct record record[LOG_SIZE];
};

static const char *const line_names[DSM_LINE_STATES] = {
	"I", "S", "M", "IS", "IM", "SM", "MS_R", "MI_R", "SI_R", "SMI_R", "II_R",
};

static const char *const dir_names[DSM_DIR_STATES] = { "ZERO", "S", "M" };

static const char *message_name(u8 type)
{
	static const char *const names[] = {
		[DSM_GET_S] = "GET_S", [DSM_GET_M] = "GET_M", [DSM_PUT_S] = "PUT_S",
		[DSM_PUT_M] = "PUT_M", [DSM_FWD_GET_S] = "FWD_GET_S",
		[DSM_FWD_GET_M] = "FWD_GET_M", [DSM_INV] = "INV", [DSM_INV_ACK] = "INV_ACK",
		[DSM_DATA] = "DATA", [DSM_GRANT] = "GRANT", [DSM_DONE] = "DONE",
		[DSM_DISCARD] = "DISCARD", [DSM_DISCARDED] = "DISCARDED",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "?";
}

static const char *event_name(u8 type)
{
	static const char *const names[] = {
		[DSM_EV_READ] = "READ", [DSM_EV_WRITE] = "WRITE", [DSM_EV_EVICT] = "EVICT",
		[DSM_EV_MSG] = "gets", [DSM_EV_REVOKED] = "REVOKED",
		[DSM_EV_HOLD_OVER] = "HOLD_OVER", [DSM_EV_FREE] = "FREE",
		[DSM_EV_DISCARD] = "DISCARD",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static const char *name_of(const char *const *names, u8 n, u8 i)
{
	return i < n ? names[i] : "?";
}

void check_step(struct sim *sim, enum log_kind kind, const struct copy *copy,
		const struct dsm_event *ev, const struct dsm_coh_msg *msg)
{
	const struct block *block = &sim->block[copy->block];
	struct record *record = &sim->log->record[sim->log->n++ % LOG_SIZE];

	record->time = sim->now;
	record->msg = *msg;
	record->node = copy->node;
	record->kind = kind;
	record->event = ev ? ev->type : 0;
	record->line = copy->line.state;
	record->dir = block->dir.state;
	record->busy = block->dir.busy;
}

static void print_message(const struct dsm_coh_msg *msg)
{
	fprintf(stderr, "%s req=%u", message_name(msg->type), msg->req);
	if (msg->type == DSM_FWD_GET_S || msg->type == DSM_FWD_GET_M || msg->type == DSM_INV)
		fprintf(stderr, " for=%u", msg->node);
	if (msg->acks)
		fprintf(stderr, " acks=%u", msg->acks);
	if (msg->flags & DSM_WIRE_ZERO)
		fprintf(stderr, " ZERO");
	if (msg->flags & DSM_WIRE_MODIFIED)
		fprintf(stderr, " MODIFIED");
}

static void print_record(const struct sim *sim, const struct record *record)
{
	fprintf(stderr, "#  %14.3f us  node %-4u %-5s", record->time / 1000.0, record->node,
		name_of(line_names, DSM_LINE_STATES, record->line));
	if (record->node == sim->block[sim->watched].home)
		fprintf(stderr, " dir %-4s%-5s ", name_of(dir_names, DSM_DIR_STATES, record->dir),
			record->busy ? " busy" : "");
	else
		fprintf(stderr, "%*s", 15, "");
	switch ((enum log_kind)record->kind) {
	case LOG_EVENT:
		fprintf(stderr, "%s", event_name(record->event));
		if (record->event == DSM_EV_MSG) {
			fprintf(stderr, " from %u: ", record->msg.from);
			print_message(&record->msg);
		}
		break;
	case LOG_SEND:
		fprintf(stderr, "  -> %u: ", record->msg.to);
		print_message(&record->msg);
		break;
	default:
		fprintf(stderr, "%s", record->msg.type ? "writes" : "reads");
		break;
	}
	fputc('\n', stderr);
}

/* The state before an event, or between the messages that it sends. */
static void print_log(const struct sim *sim, u32 block)
{
	const struct log *log = sim->log;
	u64 shown = log->n < LOG_SIZE ? log->n : LOG_SIZE, i;

	fprintf(stderr, "# the last %llu steps of block %u, whose home is node %u:\n",
		(unsigned long long)shown, block, sim->block[block].home);
	for (i = log->n - shown; i < log->n; i++)
		print_record(sim, &log->record[i % LOG_SIZE]);
}

/*
 * A violation ends the run. Only the first is reported, and only if its block's steps have
 * been kept. For that, sim_run() repeats the run.
 */
void check_fail(struct sim *sim, u32 block, const char *format, ...)
{
	va_list args;

	if (sim->failed)
		return;
	sim->failed = true;
	sim->suspect = block;
	if (sim->watched != block)
		return;
	fprintf(stderr, "# violation: seed %llu, %.3f us, block %u: ",
		(unsigned long long)sim->config->seed, sim->now / 1000.0, block);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	print_log(sim, block);
}

static u8 access_of(const struct copy *copy)
{
	u8 state = dsm_line_writable(&copy->line) ? 2 : dsm_line_readable(&copy->line);

	return state > copy->access ? state : copy->access;
}

static void set_access(struct block *block, struct copy *copy, u8 access)
{
	block->readers += (access > 0) - (copy->access > 0);
	block->writers += (access > 1) - (copy->access > 1);
	copy->access = access;
}

/* Page tables have changed as requested. */
void check_revoked(struct sim *sim, struct copy *copy)
{
	u8 left = copy->revoke == DSM_ACT_CLEAN;

	if (left < copy->access)
		set_access(&sim->block[copy->block], copy, left);
}

void check_access(struct sim *sim, struct copy *copy)
{
	struct block *block = &sim->block[copy->block];

	if (copy->line.state == DSM_LINE_S || copy->line.state == DSM_LINE_M)
		copy->dropped = false;
	if (copy->granted && !dsm_line_outstanding(&copy->line)) {
		block->granted -= copy->granted == 1;
		copy->granted = 0;
	}
	set_access(block, copy, access_of(copy));
	if (block->writers > 1)
		check_fail(sim, copy->block, "node %u: two writers", copy->node);
	if (block->writers && block->readers > 1)
		check_fail(sim, copy->block, "node %u: a writer and a reader", copy->node);
	if (copy->access && copy->value != block->last)
		check_fail(sim, copy->block, "node %u may read version %llu, and the last is %llu",
			   copy->node, (unsigned long long)copy->value,
			   (unsigned long long)block->last);
}

void check_use(struct sim *sim, struct copy *copy, bool write)
{
	struct block *block = &sim->block[copy->block];
	struct dsm_coh_msg msg = { .type = write };

	check_log(sim, LOG_USE, copy, NULL, &msg);
	if (copy->value != block->last)
		check_fail(sim, copy->block, "node %u uses version %llu, and the last is %llu",
			   copy->node, (unsigned long long)copy->value,
			   (unsigned long long)block->last);
	if (write)
		copy->value = block->last = ++block->versions;
}

/*
 * The home has completed a request that it answered alone; with @write, by giving the block
 * away.
 */
void check_granted(struct sim *sim, u32 number, u16 node, u32 req, bool write)
{
	struct copy *copy = node_copy_find(sim, number, node);

	if (!copy || !dsm_line_outstanding(&copy->line) || copy->line.req != req ||
	    copy->granted) {
		check_fail(sim, number, "the home has answered node %u, which does not wait for it",
			   node);
		return;
	}
	copy->granted = copy->line.state == DSM_LINE_IS && !write ? 1 : 2;
	sim->block[number].granted += copy->granted == 1;
}

/* The number of nodes that the home counts as sharers and that have dropped their copy. */
static u32 dropped(struct sim *sim, u32 number)
{
	const struct block *block = &sim->block[number];
	u32 nodes = sim->config->nodes, node, n = 0;

	for (node = dsm_sharers_next(block->dir.sharers, nodes, 0); node < nodes;
	     node = dsm_sharers_next(block->dir.sharers, nodes, node + 1)) {
		const struct copy *copy = node_copy_find(sim, number, node);

		n += copy && copy->dropped && !copy->access && !copy->granted;
	}
	return n;
}

/* A transaction is over: does the home know which nodes have the block? */
void check_transaction(struct sim *sim, u32 number)
{
	struct block *block = &sim->block[number];
	const struct dsm_dir *dir = &block->dir;
	const struct copy *owner;
	u32 i, n = 0;
	u64 word;

	/* The next transaction has begun: this was checked before. */
	if (dir->busy)
		return;
	if (dir->state == DSM_DIR_M) {
		owner = node_copy_find(sim, number, dir->owner);
		if (!owner || (owner->line.state != DSM_LINE_M && owner->granted != 2))
			check_fail(sim, number, "the owner, node %u, does not have it", dir->owner);
		return;
	}
	for (i = 0; i < sim->words; i++)
		for (word = dir->sharers[i]; word; word &= word - 1)
			n++;
	if (dir->state == DSM_DIR_ZERO && block->last)
		check_fail(sim, number, "the home takes a written block for zeroes");
	if ((n != block->readers + block->granted &&
	     n != block->readers + block->granted + dropped(sim, number)) || block->writers)
		check_fail(sim, number,
			   "the home knows of %u sharers, and %u nodes may read it or will", n,
			   block->readers + block->granted);
	if (dir->state == DSM_DIR_S && !dsm_sharers_has(dir->sharers, dir->owner))
		check_fail(sim, number, "the supplier, node %u, is no sharer", dir->owner);
}

/* The home says that the block is zeroes: no node can have other contents. */
void check_discarded(struct sim *sim, u32 number)
{
	struct block *block = &sim->block[number];

	if (block->readers)
		check_fail(sim, number, "%u nodes can read a discarded block", block->readers);
	block->last = 0;
}

void check_stuck(struct sim *sim)
{
	const struct config *config = sim->config;
	u32 i;

	if (!sim->running)
		return;
	for (i = 0; i < sim->n_threads; i++) {
		const struct thread *thread = &sim->thread[i];

		if (thread->waits && sim->now - thread->start > config->stuck) {
			check_fail(sim, thread->block, "node %u has waited since %.3f us",
				   thread->node, thread->start / 1000.0);
			return;
		}
	}
	sim_put(sim, sim->now + config->stuck / 4 + 1, EV_SWEEP, 0, 0);
}

/* Nothing happens any more. */
void check_quiet(struct sim *sim)
{
	u32 i, block = 0;

	for (i = 0; i < sim->copies.n && !sim->failed; i++) {
		const struct copy *copy = pool_at(&sim->copies, i);
		const struct dsm_dir *dir = &sim->block[copy->block].dir;
		u8 state = copy->line.state, expected = DSM_LINE_I;

		block = copy->block;
		if (copy->waiting != NONE)
			check_fail(sim, block, "node %u waits for ever", copy->node);
		if (dir->busy || sim->block[block].first != NONE)
			check_fail(sim, block, "a transaction does not end");
		if (copy->line.discards)
			check_fail(sim, block, "node %u discards for ever", copy->node);
		if (copy->line.put)
			check_fail(sim, block, "node %u is not rid of its copy", copy->node);
		if (dir->state == DSM_DIR_M)
			expected = copy->node == dir->owner ? DSM_LINE_M : DSM_LINE_I;
		else if (dsm_sharers_has(dir->sharers, copy->node))
			expected = DSM_LINE_S;
		if (state != expected)
			check_fail(sim, block, "node %u is in state %s, and should be in %s",
				   copy->node, name_of(line_names, DSM_LINE_STATES, state),
				   line_names[expected]);
	}
	if (sim->running)
		check_fail(sim, block, "%u threads do not end", sim->running);
	if (!net_quiet(sim))
		check_fail(sim, block, "messages have not arrived");
}

bool check_create(struct sim *sim)
{
	sim->log = calloc(1, sizeof(*sim->log));
	return sim->log;
}

void check_destroy(struct sim *sim)
{
	free(sim->log);
}
