// SPDX-License-Identifier: GPL-2.0
/* Tests libdsm's interface, as its header describes it, on several nodes. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

/* Expect a function that returns a pointer to fail. */
#define EXPECT_NULL(call, error) do {		\
	errno = 0;				\
	EXPECT_EQ(call, NULL);			\
	EXPECT_EQ(errno, error);		\
} while (0)

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

	EXPECT_NULL(dsm_open("open-none", O_RDWR, 0, NULL), ENOENT);
	EXPECT_ERRNO(dsm_unlink("open-none"), ENOENT);
	EXPECT_NULL(dsm_open(NULL, O_RDWR, 0, NULL), EINVAL);
	EXPECT_ERRNO(dsm_close(NULL), EINVAL);

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
		EXPECT_NULL(dsm_open(bad[i], O_RDWR | O_CREAT, 4096, NULL), EINVAL);
		EXPECT_NULL(dsm_open(bad[i], O_RDWR, 0, NULL), EINVAL);
		EXPECT_ERRNO(dsm_unlink(bad[i]), EINVAL);
	}
}

TEST(attributes)
{
	static const struct dsm_attr bad[] = {
		{ .block_size = 1 },
		{ .block_size = 4095 },
		{ .block_size = 5000 },
		{ .block_size = 12288 },
		{ .block_size = 2 * DSM_BLOCK_SIZE_MAX },
		{ .home = -1 },
		{ .home = DSM_HOME_CREATOR + 1 },
		{ .mode = 01777 },
		{ .consistency = 1 },
		{ .replicas = 1 },
		{ .reserved = { 1 } },
		{ .reserved = { 0, 1 } },
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
	EXPECT_NULL(dsm_open(name, O_RDWR | O_CREAT, 0, NULL), EINVAL);
	EXPECT_NULL(dsm_open(name, O_RDWR | O_CREAT, DSM_REGION_SIZE_MAX + 1, NULL), EINVAL);
	EXPECT_NULL(dsm_open(name, O_RDWR | O_CREAT, SIZE_MAX, NULL), EINVAL);
	EXPECT_NULL(dsm_open(name, O_WRONLY | O_CREAT, 4096, NULL), EINVAL);
	EXPECT_NULL(dsm_open(name, O_RDWR, 0, NULL), ENOENT);
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
	EXPECT_NULL(dsm_open(region_name(), O_RDWR, 131073, NULL), EINVAL);
	struct dsm_attr other = { .block_size = 4096 };

	EXPECT_NULL(dsm_open(region_name(), O_RDWR | O_CREAT, 0, &other), EINVAL);
	EXPECT_NULL(dsm_open(region_name(), O_RDWR, 0, &other), EINVAL);
	EXPECT_NULL(dsm_open(region_name(), O_RDWR | O_CREAT | O_EXCL, 4096, NULL), EEXIST);
	EXPECT_NULL(dsm_open(region_name(), O_RDWR | O_EXCL, 0, NULL), EINVAL);
	EXPECT_NULL(dsm_open(region_name(), O_RDWR | O_TRUNC, 0, NULL), EINVAL);
	EXPECT_NULL(dsm_open(region_name(), O_WRONLY, 0, NULL), EINVAL);
	unshare_region(region);
}

/* A region full of a program's own data has no root and no heap. */
TEST(region_without_a_heap)
{
	struct dsm_attr attr = {
		.block_size = 16384, .home = DSM_HOME_INTERLEAVED, .mode = 0640,
	};
	dsm_region *region;
	char name[32];

	snprintf(name, sizeof(name), "plain-%d", node());
	region = dsm_open(name, O_RDWR | O_CREAT, 100000, &attr);
	ASSERT_TRUE(region);
	EXPECT_EQ(dsm_size(region), 7 * 16384);
	EXPECT_EQ(dsm_root(region), NULL);
	memset(dsm_base(region), 'x', dsm_size(region));
	EXPECT_EQ(dsm_root(region), NULL);
	errno = 0;
	EXPECT_EQ(dsm_set_root(region, dsm_base(region)), -1);
	EXPECT_TRUE(errno == EINVAL || errno == ENOMEM);
	EXPECT_NULL(dsm_heap_malloc(region, 1), ENOMEM);
	EXPECT_OK(dsm_unlink(name));
	EXPECT_OK(dsm_close(region));
	EXPECT_NULL(dsm_open(name, O_RDWR, 0, NULL), ENOENT);
}

/* The process has nothing else open. Opening the region for writing upgrades the mapping. */
static void use_read_only(void)
{
	dsm_region *reader = dsm_open(region_name(), O_RDONLY, 0, NULL), *writer;
	dsm_mutex_t *mutex;
	int fds[2];

	ASSERT_TRUE(reader);
	mutex = dsm_root(reader);
	ASSERT_TRUE(mutex);
	EXPECT_NULL(dsm_heap_malloc(reader, 1), EACCES);
	EXPECT_ERRNO(dsm_set_root(reader, NULL), EACCES);
	EXPECT_EQ(dsm_mutex_lock(mutex), EACCES);
	EXPECT_GE(dsm_malloc_usable_size(mutex), 2 * sizeof(*mutex));
	EXPECT_ERRNO(dsm_prefetch(mutex, 1, PROT_READ | PROT_WRITE), EACCES);
	ASSERT_OK(pipe(fds));
	ASSERT_EQ(write(fds[1], "r", 1), 1);
	EXPECT_ERRNO(read(fds[0], mutex + 1, 1), EFAULT);

	writer = dsm_open(region_name(), O_RDWR, 0, NULL);
	ASSERT_TRUE(writer);
	EXPECT_EQ(dsm_base(writer), dsm_base(reader));
	dsm_free(dsm_heap_malloc(writer, 100));
	EXPECT_NULL(dsm_heap_malloc(reader, 1), EACCES);
	EXPECT_EQ(dsm_mutex_lock(mutex), 0);
	EXPECT_EQ(dsm_mutex_unlock(mutex), 0);
	EXPECT_OK(dsm_close(writer));
	EXPECT_NULL(dsm_heap_malloc(reader, 1), EACCES);
	ASSERT_EQ(write(fds[1], "r", 1), 1);
	EXPECT_ERRNO(read(fds[0], mutex + 1, 1), EFAULT);
	EXPECT_OK(dsm_close(reader));
}

TEST(read_only)
{
	dsm_region *region = share_region(64 << 20, DSM_HOME_DEFAULT, 0);

	if (!node()) {
		dsm_mutex_t *mutex = dsm_heap_calloc(region, 2, sizeof(*mutex));

		ASSERT_TRUE(mutex);
		ASSERT_EQ(dsm_mutex_init(mutex, NULL), 0);
		ASSERT_OK(dsm_set_root(region, mutex));
	}
	for (int turn = 0; turn < 2; turn++) {
		together("turn-%d", turn);
		if ((node() == 0) != turn)
			continue;
		ASSERT_OK(dsm_close(region));
		use_read_only();
		region = dsm_open(region_name(), O_RDWR, 0, NULL);
		ASSERT_TRUE(region);
	}
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
	struct { void *at; size_t size; } taken[] = {
		{ dsm_base(region), 4096 },
		{ (void *)DSM_ADDR_MIN, (size_t)1 << 40 },
	};

	together("opened");
	EXPECT_OK(dsm_close(region));
	for (int i = 0; i < 2; i++) {
		void *other = mmap(taken[i].at, taken[i].size, PROT_NONE, MAP_PRIVATE |
				   MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		char range[64];

		ASSERT_EQ(other, taken[i].at);
		EXPECT_NULL(dsm_open(region_name(), O_RDWR, 0, NULL), EADDRINUSE);
		snprintf(range, sizeof(range), "taken by %lx-", (long)other);
		EXPECT_TRUE(strstr(dsm_error_detail(), range));
		EXPECT_EQ(access_signal(other, false), SIGSEGV);
		munmap(other, taken[i].size);
	}
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
		if (found % 3 == 0) {
			link = dsm_realloc(link, 2 * (sizeof(*link) + link->size));
			ASSERT_TRUE(link);
		}
		for (size_t i = 0; i < link->size; i++)
			ASSERT_EQ(link->bytes[i], (unsigned char)(link->size ^ by));
		dsm_free(link);
		link = next;
		found++;
	}
	EXPECT_EQ(found, count);
}

/*
 * The next node uses, resizes and frees what one node has allocated, over and over. The memory is
 * reused.
 */
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

	EXPECT_NULL(dsm_heap_calloc(region, huge, 3), ENOMEM);
	EXPECT_NULL(dsm_heap_malloc(region, huge), ENOMEM);
	EXPECT_NULL(dsm_heap_malloc(NULL, 1), EINVAL);
	EXPECT_NULL(dsm_heap_aligned_alloc(region, 48, 100), EINVAL);
	EXPECT_ERRNO(dsm_set_root(region, &p), EINVAL);
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

TEST(default_region_variables)
{
	static const char *const bad[][2] = {
		{ "DSM_SIZE", "12Q" }, { "DSM_BLOCK_SIZE", "128K" }, { "DSM_BLOCK_SIZE", "12K" },
		{ "DSM_REGION", "a/b" },
	};
	static const char *const good[] = { "16M", "64K", "64K", "default-variables" };
	volatile size_t half = SIZE_MAX / 2;
	void *ptr = &ptr;

	for (int i = 0; i < 4; i++) {
		ASSERT_OK(setenv(bad[i][0], bad[i][1], 1));
		EXPECT_NULL(dsm_malloc(1), EINVAL);
		ASSERT_OK(setenv(bad[i][0], good[i], 1));
	}
	ASSERT_TRUE(dsm_default());
	EXPECT_EQ(dsm_size(dsm_default()), 16 << 20);
	EXPECT_EQ(dsm_default(), dsm_default());
	EXPECT_NULL(dsm_malloc(17 << 20), ENOMEM);
	EXPECT_NULL(dsm_calloc(half, 3), ENOMEM);
	EXPECT_NULL(dsm_aligned_alloc(48, 1), EINVAL);
	EXPECT_NULL(dsm_aligned_alloc(0, 1), EINVAL);
	EXPECT_NULL(dsm_aligned_alloc(16 << 20, 1), ENOMEM);
	EXPECT_EQ(dsm_posix_memalign(&ptr, 4, 1), EINVAL);
	EXPECT_EQ(dsm_posix_memalign(&ptr, 24, 1), EINVAL);
	errno = 0;
	EXPECT_EQ(dsm_posix_memalign(&ptr, 64, 17 << 20), ENOMEM);
	EXPECT_EQ(errno, 0);
	EXPECT_EQ(ptr, &ptr);
	EXPECT_EQ(dsm_posix_memalign(&ptr, 4 << 20, 1), 0);
	EXPECT_EQ((uintptr_t)ptr % (4 << 20), 0);
	dsm_free(ptr);
	together("used");
	if (!node())
		EXPECT_OK(dsm_unlink("default-variables"));
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
	EXPECT_ERRNO(dsm_prefetch(base, 1, PROT_READ | PROT_EXEC), EINVAL);
	EXPECT_OK(dsm_prefetch(base, 0, PROT_READ | PROT_WRITE));
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
