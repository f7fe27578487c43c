// SPDX-License-Identifier: GPL-2.0
/* Tests libdsm's interface, as its header describes it, on several nodes. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static struct timespec in_ms(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

TEST(node_id_and_count)
{
	EXPECT_EQ(dsm_node_id(), node());
	EXPECT_EQ(dsm_node_count(), nodes());
}

/* ---- regions ------------------------------------------------------------ */

TEST(open_flags)
{
	char longest[DSM_NAME_MAX], too_long[DSM_NAME_MAX + 1];
	dsm_region *region;

	EXPECT_EQ(dsm_open("open-none", O_RDWR, 0, NULL), NULL);
	EXPECT_EQ(errno, ENOENT);
	EXPECT_ERRNO(dsm_unlink("open-none"), ENOENT);

	memset(longest, 'a' + node(), sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	region = dsm_open(longest, O_RDWR | O_CREAT, 4096, NULL);
	ASSERT_TRUE(region);
	EXPECT_OK(dsm_unlink(longest));
	EXPECT_OK(dsm_close(region));

	memset(too_long, 'a', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	const char *bad[] = { "", ".hidden", "with/slash", "with space", "caf\303\251", too_long };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(dsm_open(bad[i], O_RDWR | O_CREAT, 4096, NULL), NULL);
		EXPECT_EQ(errno, EINVAL);
		EXPECT_ERRNO(dsm_unlink(bad[i]), EINVAL);
	}
}

TEST(attributes)
{
	static const struct dsm_attr bad[] = {
		{ .block_size = 1 },
		{ .block_size = 4095 },
		{ .block_size = 12288 },
		{ .block_size = 2 * DSM_BLOCK_SIZE_MAX },
		{ .home = -1 },
		{ .home = DSM_HOME_CREATOR + 1 },
		{ .mode = 01777 },
		{ .consistency = 1 },
		{ .replicas = 1 },
		{ .reserved = { 1 } },
		{ .reserved = { 0, 0, 1 } },
		{ .flags = ~DSM_ATTR_SHARED },
		{ .flags = DSM_ATTR_SHARED << 1 },
	};
	char name[32];

	snprintf(name, sizeof(name), "attr-%d", node());
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		errno = 0;
		if (dsm_open(name, O_RDWR | O_CREAT, 4096, &bad[i]) || errno != EINVAL)
			test_failed(__FILE__, __LINE__, false, "attribute %zu: %s", i,
				    strerror(errno));
	}
	EXPECT_EQ(dsm_open(name, O_RDWR | O_CREAT, 0, NULL), NULL);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(dsm_open(name, O_RDWR | O_CREAT, DSM_REGION_SIZE_MAX + 1, NULL), NULL);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(dsm_open(name, O_WRONLY | O_CREAT, 4096, NULL), NULL);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(dsm_open(name, O_RDWR, 0, NULL), NULL);
	EXPECT_EQ(errno, ENOENT);
}

TEST(size_and_address)
{
	dsm_region *region = share_region(100000, DSM_HOME_DEFAULT, 65536);
	_Atomic uint64_t *where;

	EXPECT_EQ(dsm_size(region), 131072);
	EXPECT_GE((uintptr_t)dsm_base(region), DSM_ADDR_MIN);
	EXPECT_LE((uintptr_t)dsm_base(region) + dsm_size(region), DSM_ADDR_MAX);

	/* All nodes map the region at the same address. Node 0 writes it to the last word. */
	where = word((char *)dsm_base(region) + dsm_size(region), -1);
	if (!node())
		*where = (uintptr_t)dsm_base(region);
	together("written");
	EXPECT_EQ(*where, (uintptr_t)dsm_base(region));

	/* Opening an existing region with another size or other attributes fails. */
	EXPECT_EQ(dsm_open(region_name(), O_RDWR, 131073, NULL), NULL);
	EXPECT_EQ(errno, EINVAL);
	struct dsm_attr other = { .block_size = 4096 };

	EXPECT_EQ(dsm_open(region_name(), O_RDWR | O_CREAT, 0, &other), NULL);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(dsm_open(region_name(), O_RDWR | O_CREAT | O_EXCL, 4096, NULL), NULL);
	EXPECT_EQ(errno, EEXIST);
	unshare_region(region);
}

TEST(two_openings_share_a_mapping)
{
	dsm_region *first = share_region(65536, DSM_HOME_DEFAULT, 0);
	dsm_region *second = dsm_open(region_name(), O_RDONLY, 0, NULL);

	ASSERT_TRUE(second);
	EXPECT_EQ(dsm_base(second), dsm_base(first));
	*word(dsm_base(first), node()) = 7;
	EXPECT_OK(dsm_close(second));
	EXPECT_EQ(*word(dsm_base(first), node()), 7);
	*word(dsm_base(first), node()) = 8;
	unshare_region(first);
}

TEST(address_in_use)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);
	void *base = dsm_base(region);
	void *other;

	together("opened");
	EXPECT_OK(dsm_close(region));
	other = mmap(base, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		     0);
	ASSERT_EQ(other, base);
	EXPECT_EQ(dsm_open(region_name(), O_RDWR, 0, NULL), NULL);
	EXPECT_EQ(errno, EADDRINUSE);
	EXPECT_NE(dsm_error_detail()[0], '\0');
	munmap(other, 4096);
	region = dsm_open(region_name(), O_RDWR, 0, NULL);
	ASSERT_TRUE(region);
	unshare_region(region);
}

/* All nodes try to create the region. In every round exactly one of them does. */
TEST(exclusive_creation_has_one_winner)
{
	dsm_region *tally = share_region(65536, DSM_HOME_DEFAULT, 0);
	enum { RACES = 5 };

	for (int i = 0; i < RACES; i++) {
		dsm_region *region;
		char name[32];

		snprintf(name, sizeof(name), "race-%d", i);
		together("race-%d", i);
		region = dsm_open(name, O_RDWR | O_CREAT | O_EXCL, 4096, NULL);
		if (region) {
			atomic_fetch_add(word(dsm_base(tally), i), 1);
		} else {
			EXPECT_EQ(errno, EEXIST);
			region = dsm_open(name, O_RDWR | O_CREAT, 4096, NULL);
			ASSERT_TRUE(region);
		}
		atomic_fetch_add(word(dsm_base(region), 0), 1);
		together("raced-%d", i);
		EXPECT_EQ(*word(dsm_base(tally), i), 1);
		EXPECT_EQ(*word(dsm_base(region), 0), nodes());
		together("counted-%d", i);
		if (!node())
			EXPECT_OK(dsm_unlink(name));
		EXPECT_OK(dsm_close(region));
	}
	unshare_region(tally);
}

/*
 * The name is gone on all nodes at once, and can be used again. The memory is freed with the
 * last user.
 */
TEST(unlink_keeps_the_memory)
{
	dsm_region *old = share_region(65536, DSM_HOME_DEFAULT, 0);
	dsm_region *new = NULL;

	atomic_fetch_add(word(dsm_base(old), 0), 1);
	together("opened");
	if (node() == nodes() - 1)
		EXPECT_OK(dsm_unlink(region_name()));
	together("unlinked");
	EXPECT_ERRNO(dsm_unlink(region_name()), ENOENT);
	EXPECT_EQ(*word(dsm_base(old), 0), nodes());
	together("gone");

	if (!node()) {
		new = dsm_open(region_name(), O_RDWR | O_CREAT | O_EXCL, 4096, NULL);
		ASSERT_TRUE(new);
	}
	together("made-again");
	if (node()) {
		new = dsm_open(region_name(), O_RDWR, 0, NULL);
		ASSERT_TRUE(new);
	}
	EXPECT_NE(dsm_base(new), dsm_base(old));
	EXPECT_EQ(*word(dsm_base(new), 0), 0);
	atomic_fetch_add(word(dsm_base(old), 1), 1);
	together("both-open");
	EXPECT_EQ(*word(dsm_base(old), 1), nodes());
	EXPECT_OK(dsm_close(old));
	unshare_region(new);
}

/* ---- the heap ------------------------------------------------------------ */

struct link {
	struct link *next;
	int node;
	size_t size;
	unsigned char bytes[];
};

static struct link *make_links(dsm_region *region, int count, uint64_t *state)
{
	struct link *head = NULL;

	for (int i = 0; i < count; i++) {
		size_t size = random_next(state) % (i % 50 ? 300 : 20000);
		struct link *link = dsm_heap_malloc(region, sizeof(*link) + size);

		ASSERT_TRUE(link);
		ASSERT_EQ((uintptr_t)link % 16, 0);
		ASSERT_GE(dsm_malloc_usable_size(link), sizeof(*link) + size);
		*link = (struct link){ .next = head, .node = node(), .size = size };
		memset(link->bytes, (int)(size ^ node()), size);
		head = link;
	}
	return head;
}

static void check_and_free_links(struct link *link, int count, int by)
{
	int found = 0;

	while (link) {
		struct link *next = link->next;

		ASSERT_EQ(link->node, by);
		for (size_t i = 0; i < link->size; i++)
			ASSERT_EQ(link->bytes[i], (unsigned char)(link->size ^ by));
		dsm_free(link);
		link = next;
		found++;
	}
	EXPECT_EQ(found, count);
}

/* The next node uses and frees what one node has allocated, over and over. The memory is reused. */
TEST_SECONDS(heap_across_nodes, 600)
{
	dsm_region *region = share_region(64 << 20, DSM_HOME_FIRST_TOUCH, 0);
	enum { LINKS = 150, ROUNDS = 4 };
	_Atomic(struct link *) *lists;
	uint64_t state = seed();

	EXPECT_EQ(dsm_root(region), NULL);
	together("no-root");
	if (!node()) {
		lists = dsm_heap_calloc(region, nodes(), sizeof(*lists));
		ASSERT_TRUE(lists);
		ASSERT_OK(dsm_set_root(region, lists));
	}
	together("root");
	lists = dsm_root(region);
	ASSERT_TRUE(lists);
	for (int round = 0; round < ROUNDS; round++) {
		int by = (node() + 1) % nodes();

		lists[node()] = make_links(region, LINKS, &state);
		together("made-%d", round);
		check_and_free_links(lists[by], LINKS, by);
		together("freed-%d", round);
	}
	unshare_region(region);
}

TEST(heap_semantics)
{
	dsm_region *region = share_region(64 << 20, DSM_HOME_FIRST_TOUCH, 0);
	/* A variable, since compilers reject such constants. */
	volatile size_t huge = SIZE_MAX / 2;
	unsigned char *p, *q;

	p = dsm_heap_malloc(region, 0);
	q = dsm_heap_malloc(region, 0);
	EXPECT_TRUE(p);
	EXPECT_TRUE(q);
	EXPECT_NE(p, q);
	dsm_free(p);
	dsm_free(q);
	dsm_free(NULL);
	EXPECT_EQ(dsm_malloc_usable_size(NULL), 0);

	errno = 0;
	EXPECT_EQ(dsm_heap_calloc(region, huge, 3), NULL);
	EXPECT_EQ(errno, ENOMEM);
	errno = 0;
	EXPECT_EQ(dsm_heap_malloc(region, huge), NULL);
	EXPECT_EQ(errno, ENOMEM);
	errno = 0;
	EXPECT_EQ(dsm_heap_aligned_alloc(region, 48, 100), NULL);
	EXPECT_EQ(errno, EINVAL);
	for (size_t align = 16; align <= DSM_CHUNK_SIZE * 2; align *= 4) {
		p = dsm_heap_aligned_alloc(region, align, 100);
		ASSERT_TRUE(p);
		EXPECT_EQ((uintptr_t)p % align, 0);
		memset(p, 0xff, 100);
		dsm_free(p);
	}
	ASSERT_EQ(dsm_heap_posix_memalign(region, (void **)&p, 4096, 10000), 0);
	EXPECT_EQ((uintptr_t)p % 4096, 0);
	dsm_free(p);
	EXPECT_EQ(dsm_heap_posix_memalign(NULL, (void **)&p, 4096, 10000), EINVAL);
	p = dsm_heap_realloc(region, NULL, 0);
	EXPECT_TRUE(p);
	dsm_free(p);
	p = dsm_heap_calloc(region, 100, 100);
	ASSERT_TRUE(p);
	for (int i = 0; i < 10000; i++)
		ASSERT_EQ(p[i], 0);
	memset(p, 0x5a, 10000);
	p = dsm_heap_realloc(region, p, 100000);
	ASSERT_TRUE(p);
	for (int i = 0; i < 10000; i++)
		ASSERT_EQ(p[i], 0x5a);
	p = dsm_realloc(p, 10);
	ASSERT_TRUE(p);
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(p[i], 0x5a);
	EXPECT_EQ(dsm_realloc(p, 0), NULL);
	unshare_region(region);
}

TEST(default_region)
{
	char *text;

	ASSERT_OK(setenv("DSM_REGION", "the-default", 1));
	ASSERT_OK(setenv("DSM_SIZE", "32M", 1));
	together("start");
	text = dsm_malloc(100);
	ASSERT_TRUE(text);
	EXPECT_EQ(dsm_size(dsm_default()), 32 << 20);
	snprintf(text, 100, "of node %d", node());
	if (!node())
		ASSERT_OK(dsm_set_root(dsm_default(), text));
	together("root");
	EXPECT_EQ(strcmp(dsm_root(dsm_default()), "of node 0"), 0);
	together("read");
	if (node() == nodes() - 1) {
		dsm_free(dsm_root(dsm_default()));
		EXPECT_OK(dsm_unlink("the-default"));
	}
	together("unlinked");
}

/* ---- synchronisation ------------------------------------------------------- */

struct shared {
	dsm_mutex_t mutex;
	dsm_cond_t cond;
	dsm_barrier_t barrier;
	char pad[4096 - 3 * 64];
	volatile uint64_t counter;	/* guarded by mutex; in a block of its own */
	volatile uint64_t turn;
	_Atomic uint64_t serials;
	_Atomic uint64_t arrived;
	_Atomic int64_t pid;
};

static struct shared *share_objects(dsm_region **region)
{
	struct shared *shared;

	*region = share_region(65536, DSM_HOME_DEFAULT, 0);
	shared = dsm_base(*region);
	if (!node()) {
		ASSERT_EQ(dsm_mutex_init(&shared->mutex, NULL), 0);
		ASSERT_EQ(dsm_cond_init(&shared->cond), 0);
		ASSERT_EQ(dsm_barrier_init(&shared->barrier, nodes()), 0);
	}
	together("objects-made");
	return shared;
}

TEST(mutex_excludes)
{
	enum { TIMES = 300 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	for (int i = 0; i < TIMES; i++) {
		uint64_t old;

		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		old = shared->counter;
		if (!(i % 64))
			test_pause();
		shared->counter = old + 1;
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("counted");
	EXPECT_EQ(shared->counter, nodes() * TIMES);
	unshare_region(region);
}

static void *lock_many(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 100; i++) {
		if (dsm_mutex_lock(&shared->mutex))
			return arg;
		shared->counter++;
		if (dsm_mutex_unlock(&shared->mutex))
			return arg;
	}
	return NULL;
}

TEST(mutex_excludes_threads)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, lock_many, shared), 0);
	for (int i = 0; i < 3; i++) {
		void *failed;

		ASSERT_EQ(pthread_join(threads[i], &failed), 0);
		EXPECT_EQ(failed, NULL);
	}
	together("counted");
	EXPECT_EQ(shared->counter, nodes() * 300);
	unshare_region(region);
}

TEST(mutex_errors)
{
	struct timespec soon = in_ms(100), past = in_ms(-1000);
	struct dsm_mutexattr attr = { .flags = 1 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	dsm_mutex_t private;
	double start;

	EXPECT_EQ(dsm_mutex_init(&private, NULL), EINVAL);
	if (!node()) {
		EXPECT_EQ(dsm_mutex_init((dsm_mutex_t *)((char *)shared + 8192), &attr), EINVAL);
		EXPECT_EQ(dsm_mutex_lock((dsm_mutex_t *)((char *)shared + 8192)), EINVAL);
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		EXPECT_EQ(dsm_mutex_lock(&shared->mutex), EDEADLK);
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), EBUSY);
	}
	together("locked");
	if (node()) {
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), EPERM);
		EXPECT_EQ(dsm_mutex_trylock(&shared->mutex), EBUSY);
		start = seconds();
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &past), ETIMEDOUT);
		soon = in_ms(100);
		EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &soon), ETIMEDOUT);
		EXPECT_GE(seconds() - start, 0.09);
		EXPECT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), EPERM);
	}
	together("refused");
	if (!node())
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("unlocked");
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), EPERM);
	EXPECT_EQ(dsm_mutex_consistent(&shared->mutex), EINVAL);
	soon = in_ms(20000);
	EXPECT_EQ(dsm_mutex_timedlock(&shared->mutex, &soon), 0);
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("locked-again");
	if (!node())
		EXPECT_EQ(dsm_mutex_destroy(&shared->mutex), 0);
	together("destroyed");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), EINVAL);
	unshare_region(region);
}

/* A process of the last node dies while it holds the mutex. */
static void die_with_mutex(struct shared *shared)
{
	pid_t pid = fork();
	int status;

	ASSERT_OK(pid);
	if (!pid) {
		if (dsm_mutex_lock(&shared->mutex))
			_exit(1);
		shared->pid = getpid();
		for (;;)
			pause();
	}
	ASSERT_TRUE(WAIT_FOR(shared->pid == pid, 20));
	together("held");
	ASSERT_OK(kill(pid, SIGKILL));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
}

TEST(mutex_of_the_dead)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	if (node() == nodes() - 1)
		die_with_mutex(shared);
	else
		together("held");
	/* Meanwhile node 0 waits for the mutex. */
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), EOWNERDEAD);
		EXPECT_EQ(dsm_mutex_consistent(&shared->mutex), 0);
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("mended");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	unshare_region(region);
}

TEST(mutex_of_the_dead_not_mended)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	if (node() == nodes() - 1)
		die_with_mutex(shared);
	else
		together("held");
	if (!node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), EOWNERDEAD);
		EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	}
	together("given-up");
	EXPECT_EQ(dsm_mutex_lock(&shared->mutex), ENOTRECOVERABLE);
	EXPECT_EQ(dsm_mutex_trylock(&shared->mutex), ENOTRECOVERABLE);
	unshare_region(region);
}

TEST(cond_ping_pong)
{
	enum { TURNS = 100 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	for (uint64_t mine = node(); mine < TURNS; mine += nodes()) {
		while (shared->turn != mine)
			ASSERT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), 0);
		shared->turn = mine + 1;
		ASSERT_EQ(dsm_cond_broadcast(&shared->cond), 0);
	}
	ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("played");
	EXPECT_EQ(shared->turn, TURNS);
	unshare_region(region);
}

TEST(cond_timedwait)
{
	dsm_region *region;
	struct shared *shared = share_objects(&region);
	struct timespec soon;
	double start;

	ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
	soon = in_ms(100);
	start = seconds();
	EXPECT_EQ(dsm_cond_timedwait(&shared->cond, &shared->mutex, &soon), ETIMEDOUT);
	EXPECT_GE(seconds() - start, 0.09);
	/* The mutex is held again. */
	EXPECT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	together("waited");

	/* A signal wakes one waiter. A broadcast wakes all. */
	if (node()) {
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		shared->arrived++;
		while (!shared->turn)
			ASSERT_EQ(dsm_cond_wait(&shared->cond, &shared->mutex), 0);
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
	} else {
		ASSERT_TRUE(WAIT_FOR(shared->arrived == nodes() - 1, 20));
		ASSERT_EQ(dsm_mutex_lock(&shared->mutex), 0);
		shared->turn = 1;
		ASSERT_EQ(dsm_mutex_unlock(&shared->mutex), 0);
		ASSERT_EQ(dsm_cond_signal(&shared->cond), 0);
		ASSERT_EQ(dsm_cond_broadcast(&shared->cond), 0);
	}
	unshare_region(region);
}

TEST(barrier)
{
	enum { TIMES = 30 };
	dsm_region *region;
	struct shared *shared = share_objects(&region);

	if (!node())
		EXPECT_EQ(dsm_barrier_init((dsm_barrier_t *)((char *)shared + 8192), 0), EINVAL);
	for (int i = 0; i < TIMES; i++) {
		int ret;

		atomic_fetch_add(&shared->arrived, 1);
		ret = dsm_barrier_wait(&shared->barrier);
		if (ret == DSM_BARRIER_SERIAL_THREAD)
			atomic_fetch_add(&shared->serials, 1);
		else
			ASSERT_EQ(ret, 0);
		ASSERT_GE(shared->arrived, (i + 1) * nodes());
		ASSERT_LE(shared->arrived, (i + 2) * nodes());
	}
	together("passed");
	EXPECT_EQ(shared->serials, TIMES);
	EXPECT_EQ(shared->arrived, TIMES * nodes());
	unshare_region(region);
}

/* ---- hints ----------------------------------------------------------------- */

TEST(prefetch)
{
	dsm_region *region = share_region(1 << 20, DSM_HOME_DEFAULT, 0);
	char *base = dsm_base(region);
	char private[16];

	if (!node()) {
		for (int i = 0; i < 64; i++)
			*word(base + i * 4096, 0) = i + 1;
	}
	together("written");
	if (node()) {
		long long before;

		/* A node prefetches nothing before it knows the home. */
		EXPECT_EQ(*word(base + 63 * 4096, 0), 64);
		before = region_stat("prefetches");
		EXPECT_OK(dsm_prefetch(base, 32 * 4096, PROT_READ));
		EXPECT_OK(dsm_prefetch(base + 32 * 4096 + 5, 3, PROT_READ | PROT_WRITE));
		EXPECT_TRUE(WAIT_FOR(region_stat("prefetches") >= before + 32, 10));
	}
	EXPECT_OK(dsm_prefetch(base, 0, PROT_READ));
	EXPECT_ERRNO(dsm_prefetch(base, 4096, PROT_WRITE), EINVAL);
	EXPECT_ERRNO(dsm_prefetch(base, 4096, PROT_NONE), EINVAL);
	EXPECT_ERRNO(dsm_prefetch(base, (1 << 20) + 1, PROT_READ), ENOMEM);
	EXPECT_ERRNO(dsm_prefetch(private, sizeof(private), PROT_READ), ENOMEM);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(*word(base + i * 4096, 0), i + 1);
	unshare_region(region);
}

TEST(sync_is_not_there_yet)
{
	dsm_region *region = share_region(65536, DSM_HOME_DEFAULT, 0);

	EXPECT_ERRNO(dsm_sync(dsm_base(region), 4096), EOPNOTSUPP);
	unshare_region(region);
}
