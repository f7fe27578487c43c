// SPDX-License-Identifier: MIT
/*
 * wordcount: several nodes count the words of one text in one hash table.
 *
 * 	wordcount [--all | --time] INPUT	on every node at once
 *
 * Node 0 reads INPUT directly into shared memory and publishes a struct job. Every node counts
 * its share of the text, then adds its counts to the shared table: chains of entries, linked
 * by plain pointers with compare-and-swap. The first node to add a word allocates its entry.
 * Node 0 walks the table and prints it.
 *
 * A node counts in private memory first, because an access to what another node has just
 * written costs a message. It adds in the order of the buckets and starts at a different place
 * than other nodes, so that two nodes seldom need the same page at once.
 *
 * With --time, every node has INPUT and reads its share there. Then node 0 counts the whole
 * text alone, compares the results, and prints both times, like the programs that use app.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <dsm.h>

#define ROOT_WAIT_S	60	/* for node 0 to have read the text */
#define TOP		10

/* A word of the shared table. */
struct entry {
	struct entry	 *next;
	_Atomic uint64_t count;
	size_t		 len;
	char		 word[];	/* lower case */
};

/* The root, from which everything else is found. */
struct job {
	char			*text;
	size_t			len;
	size_t			buckets;	/* a power of two */
	_Atomic(struct entry *)	*bucket;
	dsm_barrier_t		barrier;	/* of all nodes */
	dsm_mutex_t		lock;		/* protects the following fields */
	uint64_t		words;
	uint64_t		faults;
	uint64_t		bytes;
};

/* A word of one node's share. Its letters are in the text. */
struct tally {
	const char	*word;
	size_t		len;
	uint64_t	hash;
	uint64_t	count;
	size_t		turn;		/* its bucket's place in the order of adding */
};

struct share {
	struct tally	*tally;		/* open addressing */
	size_t		room;		/* a power of two */
	size_t		distinct;
	uint64_t	words;
};

static int node, nodes;

__attribute__((noreturn))
static void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	fprintf(stderr, "wordcount: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

static void *check(void *ptr)
{
	if (!ptr)
		die("out of memory");
	return ptr;
}

static void meet(struct job *job)
{
	int err = dsm_barrier_wait(&job->barrier);

	if (err && err != DSM_BARRIER_SERIAL_THREAD) {
		errno = err;
		die("barrier");
	}
}

/* ---- words ------------------------------------------------------------ */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool same(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

static uint64_t hash(const char *word, size_t len)
{
	uint64_t h = 0xcbf29ce484222325;	/* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)lower(word[i])) * 0x100000001b3;
	return h ^ h >> 32;
}

/* Where a share that should start at @pos does start: not within a word. */
static size_t edge(const struct job *job, size_t pos)
{
	while (pos && pos < job->len && is_letter(job->text[pos - 1]) &&
	       is_letter(job->text[pos]))
		pos++;
	return pos;
}

/* ---- counting a share, in private memory ------------------------------ */

static struct tally *tally_find(struct share *share, const char *word,
				size_t len, uint64_t h)
{
	size_t i = h & (share->room - 1);

	while (share->tally[i].len &&
	       (share->tally[i].hash != h || share->tally[i].len != len ||
		!same(share->tally[i].word, word, len)))
		i = (i + 1) & (share->room - 1);
	return &share->tally[i];
}

static void share_grow(struct share *share)
{
	struct share more = { .room = share->room ? 2 * share->room : 4096 };

	more.tally = check(calloc(more.room, sizeof(*more.tally)));
	for (size_t i = 0; i < share->room; i++) {
		const struct tally *t = &share->tally[i];

		if (t->len)
			*tally_find(&more, t->word, t->len, t->hash) = *t;
	}
	free(share->tally);
	share->tally = more.tally;
	share->room = more.room;
}

static void share_add(struct share *share, const char *word, size_t len)
{
	uint64_t h = hash(word, len);
	struct tally *t;

	if (2 * share->distinct >= share->room)
		share_grow(share);
	t = tally_find(share, word, len, h);
	if (!t->len) {
		*t = (struct tally){ .word = word, .len = len, .hash = h };
		share->distinct++;
	}
	t->count++;
	share->words++;
}

static void share_count(struct share *share, const struct job *job)
{
	size_t pos = edge(job, job->len * node / nodes);
	size_t end = edge(job, job->len * (node + 1) / nodes);

	/* Private text need not, and must not, be prefetched. */
	dsm_prefetch(job->text + pos, end - pos, PROT_READ);
	while (pos < end) {
		size_t start = pos;

		while (pos < end && is_letter(job->text[pos]))
			pos++;
		if (pos > start)
			share_add(share, job->text + start, pos - start);
		else
			pos++;
	}
}

/* ---- the shared table ------------------------------------------------- */

static struct entry *entry_make(const struct tally *t)
{
	struct entry *entry = check(dsm_malloc(sizeof(*entry) + t->len));

	entry->len = t->len;
	for (size_t i = 0; i < t->len; i++)
		entry->word[i] = lower(t->word[i]);
	atomic_init(&entry->count, t->count);
	return entry;
}

static void table_add(struct job *job, const struct tally *t)
{
	_Atomic(struct entry *) *bucket = &job->bucket[t->hash & (job->buckets - 1)];
	struct entry *head = atomic_load(bucket);
	struct entry *seen = NULL;	/* this entry and those behind it have been compared */
	struct entry *mine = NULL;

	for (;;) {
		for (struct entry *e = head; e != seen; e = e->next) {
			if (e->len == t->len && same(e->word, t->word, t->len)) {
				atomic_fetch_add(&e->count, t->count);
				dsm_free(mine);
				return;
			}
		}
		if (!mine)
			mine = entry_make(t);
		mine->next = seen = head;
		if (atomic_compare_exchange_strong(bucket, &head, mine))
			return;
	}
}

static int by_turn(const void *a, const void *b)
{
	size_t x = ((const struct tally *)a)->turn;
	size_t y = ((const struct tally *)b)->turn;

	return (x > y) - (x < y);
}

static void table_add_share(struct job *job, struct share *share)
{
	size_t first = job->buckets * node / nodes;
	size_t n = 0;

	for (size_t i = 0; i < share->room; i++) {
		struct tally t = share->tally[i];

		t.turn = (t.hash - first) & (job->buckets - 1);
		if (t.len)
			share->tally[n++] = t;
	}
	if (!n)
		return;
	qsort(share->tally, n, sizeof(*share->tally), by_turn);
	for (size_t i = 0; i < n; i++)
		table_add(job, &share->tally[i]);
}

/* ---- the cost: this region's counters on this node ---------------------- */

static uint64_t counter(const char *name)
{
	char path[256];
	uint64_t value;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/dsm/node/regions/%s/stats/%s",
		 dsm_name(dsm_default()), name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%" SCNu64, &value) != 1)
		die("%s", path);
	fclose(file);
	return value;
}

static uint64_t remote_faults(void)
{
	return counter("faults_remote_read") + counter("faults_remote_write");
}

/* ---- node 0 ----------------------------------------------------------- */

static void text_read(struct job *job, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die("%s", path);
	job->text = check(dsm_malloc(st.st_size));
	while (job->len < (size_t)st.st_size) {
		n = read(fd, job->text + job->len, st.st_size - job->len);
		if (n < 0)
			die("%s", path);
		if (!n)
			break;
		job->len += n;
	}
	close(fd);
}

/* This node's own. */
static char *text_map(const char *path, size_t len)
{
	int fd = open(path, O_RDONLY);
	char *text;

	if (fd < 0)
		die("%s", path);
	text = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		die("%s", path);
	close(fd);
	return text;
}

static struct job *job_make(const char *path, bool timed)
{
	struct job *job = check(dsm_calloc(1, sizeof(*job)));
	struct stat st;

	if (!timed)
		text_read(job, path);
	else if (stat(path, &st))
		die("%s", path);
	else
		job->len = st.st_size;
	job->buckets = 1024;
	while (job->buckets < job->len / 64 && job->buckets < 65536)
		job->buckets *= 2;
	job->bucket = check(dsm_calloc(job->buckets, sizeof(*job->bucket)));
	errno = dsm_barrier_init(&job->barrier, nodes);
	if (!errno)
		errno = dsm_mutex_init(&job->lock, NULL);
	if (errno)
		die("barrier and lock");
	if (dsm_set_root(dsm_default(), job))
		die("root");
	return job;
}

static struct job *job_wait(void)
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	time_t start = time(NULL);
	struct job *job;

	for (;;) {
		job = dsm_root(dsm_default());
		if (job)
			return job;
		if (time(NULL) - start > ROOT_WAIT_S) {
			errno = ETIMEDOUT;
			die("waiting for node 0");
		}
		nanosleep(&nap, NULL);
	}
}

static int by_count(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a;
	const struct entry *y = *(struct entry *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strncmp(x->word, y->word, x->len < y->len ? x->len : y->len) ?:
	       (x->len > y->len) - (x->len < y->len);
}

static int by_word(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a;
	const struct entry *y = *(struct entry *const *)b;

	return strncmp(x->word, y->word, x->len < y->len ? x->len : y->len) ?:
	       (x->len > y->len) - (x->len < y->len);
}

/* Follows the pointers that all nodes have set. */
static struct entry **table_list(const struct job *job, size_t *n)
{
	struct entry **list = NULL;
	size_t room = 0;

	*n = 0;
	for (size_t i = 0; i < job->buckets; i++) {
		for (struct entry *e = job->bucket[i]; e; e = e->next) {
			if (*n == room) {
				room = room ? 2 * room : 4096;
				list = check(realloc(list, room * sizeof(*list)));
			}
			list[(*n)++] = e;
		}
	}
	return list;
}

static void print(const char *tag, const struct entry *e)
{
	printf("%s: %" PRIu64 " %.*s\n", tag, e->count, (int)e->len, e->word);
}

static void report(const struct job *job, struct entry **list, size_t n, bool all)
{
	qsort(list, n, sizeof(*list), by_count);
	for (size_t i = 0; i < n && i < TOP; i++)
		print("top", list[i]);
	if (all) {
		qsort(list, n, sizeof(*list), by_word);
		for (size_t i = 0; i < n; i++)
			print("all", list[i]);
	}
	printf("total: %" PRIu64 " %zu %" PRIu64 " %" PRIu64 "\n", job->words, n,
	       job->faults, job->bytes);
}

/* Every entry returns to the node that allocated it. */
static void job_free(struct job *job, struct entry **list, size_t n)
{
	dsm_set_root(dsm_default(), NULL);
	for (size_t i = 0; i < n; i++)
		dsm_free(list[i]);
	dsm_mutex_destroy(&job->lock);
	dsm_barrier_destroy(&job->barrier);
	dsm_free(job->bucket);
	dsm_free(job->text);
	dsm_free(job);
	free(list);
}

/* ---- duration ----------------------------------------------------------- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

static bool same_list(struct entry **list, size_t n, struct entry **other, size_t n_other)
{
	if (n != n_other)
		return false;
	qsort(list, n, sizeof(*list), by_word);
	qsort(other, n, sizeof(*other), by_word);
	for (size_t i = 0; i < n; i++)
		if (by_word(&list[i], &other[i]) || list[i]->count != other[i]->count)
			return false;
	return true;
}

/* One node counts the same text in a table of its own. Returns the exit status. */
static int time_alone(const struct job *job, char *text, struct entry **list, size_t n,
		      double together, double waited)
{
	struct job alone = { .text = text, .len = job->len, .buckets = job->buckets };
	struct share share = { .words = 0 };
	struct entry **own;
	int nodes_all = nodes;
	double start, took;
	size_t n_own;
	bool ok;

	alone.bucket = check(calloc(alone.buckets, sizeof(*alone.bucket)));
	nodes = 1;
	start = now();
	share_count(&share, &alone);
	table_add_share(&alone, &share);
	took = now() - start;
	nodes = nodes_all;

	own = table_list(&alone, &n_own);
	ok = same_list(list, n, own, n_own);
	if (ok)
		printf("wordcount: ok: %zu, %d nodes, %.3f s, alone %.3f s, waited %.3f s\n",
		       job->len, nodes, together, took, waited);
	else
		printf("wordcount: FAILED: the result differs from that of one node\n");
	for (size_t i = 0; i < n_own; i++)
		dsm_free(own[i]);
	free(own);
	free(alone.bucket);
	free(share.tally);
	return !ok;
}

/* ---- the whole ---------------------------------------------------------- */

static int number(const char *name, int (*ask)(void))
{
	const char *text = getenv(name);
	int n = text ? atoi(text) : ask();

	if (n < 0)
		die("%s", name);
	return n;
}

int main(int argc, char **argv)
{
	bool all = argc > 1 && !strcmp(argv[1], "--all");
	bool timed = argc > 1 && !strcmp(argv[1], "--time");
	struct share share = { .words = 0 };
	uint64_t faults, bytes, waited = 0;
	struct entry **list = NULL;
	struct job *job, view;
	double start = 0;
	size_t n = 0;
	int status = 0;

	if (argc != 2 + (all || timed)) {
		fprintf(stderr, "usage: wordcount [--all | --time] INPUT\n");
		return 2;
	}
	node = number("DSM_NODE", dsm_node_id);
	nodes = number("DSM_NODES", dsm_node_count);
	if (!dsm_default())
		die("opening the region: %s", dsm_error_detail());
	faults = remote_faults();
	bytes = counter("bytes_in");

	job = node ? job_wait() : job_make(argv[argc - 1], timed);
	view = *job;
	if (timed) {
		view.text = text_map(argv[argc - 1], job->len);
		meet(job);
		start = now();
		waited = counter("fault_wait_ns");
	}
	share_count(&share, &view);
	table_add_share(job, &share);
	if (node)
		printf("node %d: %" PRIu64 " words, %zu distinct\n", node,
		       share.words, share.distinct);
	free(share.tally);
	meet(job);
	if (timed) {
		start = now() - start;
		waited = counter("fault_wait_ns") - waited;
	}

	if (!node)
		list = table_list(job, &n);
	errno = dsm_mutex_lock(&job->lock);
	if (errno)
		die("lock");
	job->words += share.words;
	job->faults += remote_faults() - faults;
	job->bytes += counter("bytes_in") - bytes;
	dsm_mutex_unlock(&job->lock);
	meet(job);

	if (!node) {
		report(job, list, n, all);
		if (timed)
			status = time_alone(job, view.text, list, n, start, waited * 1e-9);
		job_free(job, list, n);
	}
	return status;
}
