// SPDX-License-Identifier: GPL-2.0
/*
 * A std::map of strings, which one node creates and all nodes read and extend. It runs on
 * every node of a cluster at once, and is also the example of dsm.hpp.
 */
#include <dsm.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

using String = std::basic_string<char, std::char_traits<char>, dsm::allocator<char>>;
using Map = std::map<String, String, std::less<>,
		     dsm::allocator<std::pair<const String, String>>>;

static const int PER_NODE = 500;

struct Shared {
	dsm_barrier_t barrier;
	dsm_mutex_t   mutex;	/* protects map */
	Map	      map;
	Map	      empty;

	explicit Shared(unsigned int nodes)
	{
		if (dsm_barrier_init(&barrier, nodes) || dsm_mutex_init(&mutex, nullptr))
			throw std::bad_alloc();
	}
};

static int failures, checks_failed, tests;

#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			checks_failed++; \
			std::printf("# line %d: %s (%s)\n", __LINE__, #cond, dsm_error_detail()); \
		} \
	} while (0)

static void result(const char *name)
{
	std::printf("%s %d - %s\n", checks_failed ? "not ok" : "ok", ++tests, name);
	std::fflush(stdout);
	failures += !!checks_failed;
	checks_failed = 0;
}

static String key_of(int node, int i)
{
	/* some fit into the string object, some do not */
	std::string key = "key " + std::to_string(node) + "." + std::to_string(i);

	return String(key.data(), key.size()) + String(i % 3 ? 0 : 40, '-');
}

static String value_of(int node, int i)
{
	return String(1 + (i * 7 + node) % 200, 'a' + node);
}

class Guard {
public:
	explicit Guard(dsm_mutex_t *mutex) : mutex_(mutex)
	{
		CHECK(!dsm_mutex_lock(mutex_));
	}
	~Guard()
	{
		CHECK(!dsm_mutex_unlock(mutex_));
	}
	Guard(const Guard &) = delete;

private:
	dsm_mutex_t *mutex_;
};

static void meet(Shared *shared)
{
	int err = dsm_barrier_wait(&shared->barrier);

	CHECK(!err || err == DSM_BARRIER_SERIAL_THREAD);
}

static void extend(Shared *shared, int node)
{
	for (int i = 0; i < PER_NODE; i++) {
		Guard guard(&shared->mutex);

		CHECK(shared->map.emplace(key_of(node, i), value_of(node, i)).second);
	}
}

static void check_all(const Shared *shared, int nodes)
{
	CHECK(shared->map.size() == std::size_t(nodes) * PER_NODE);
	for (int node = 0; node < nodes; node++) {
		for (int i = 0; i < PER_NODE; i++) {
			auto it = shared->map.find(key_of(node, i));

			CHECK(it != shared->map.end() && it->second == value_of(node, i));
		}
	}
}

static Shared *shared_get(int node, int nodes)
{
	dsm_region *region = dsm_default();

	if (!region)
		return nullptr;
	if (!node && dsm_set_root(region, dsm::make<Shared>(nodes)))
		return nullptr;
	for (int i = 0; i < 3000; i++) {
		if (void *root = dsm_root(region))
			return static_cast<Shared *>(root);
		/* the map is being made */
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
	}
	return nullptr;
}

static void test_resource()
{
	dsm::memory_resource resource;
	std::pmr::vector<std::pmr::string> list(&resource);

	for (int i = 0; i < 1000; i++)
		list.emplace_back(std::size_t(i % 300), 'x');
	CHECK(list[299].size() == 299);
	CHECK(resource == dsm::memory_resource());
	CHECK(dsm_malloc_usable_size(list.data()) >= 1000 * sizeof(std::pmr::string));
	void *aligned = resource.allocate(100, 4096);
	CHECK(!(reinterpret_cast<std::uintptr_t>(aligned) % 4096));
	resource.deallocate(aligned, 100, 4096);
}

/* Also name the structure by each of its names, one of which is also a function's. */
static void test_stats()
{
	dsm_region *region = dsm_default();
	dsm_heap_stats_t named = {};
	struct dsm_heap_stats tagged = {};
	dsm::heap_stats counted = dsm::stats(region, dsm_node_id());

	CHECK(!dsm_heap_stats(region, dsm_node_id(), &named) && named.chunks);
	CHECK(!dsm_heap_stats(region, dsm_node_id(), &tagged) && tagged.chunks);
	CHECK(counted.chunks);
	try {
		dsm::stats(region, DSM_NODES_MAX);
		CHECK(!"a node that there is not");
	} catch (const std::system_error &error) {
		CHECK(error.code().value() == EINVAL);
	}
}

int main()
{
	const char *text = std::getenv("DSM_NODE");
	int node = text ? std::atoi(text) : dsm_node_id();
	int nodes = (text = std::getenv("DSM_NODES")) ? std::atoi(text) : dsm_node_count();
	Shared *shared;

	if (dsm_node_id() < 0) {
		std::printf("1..0 # SKIP %s\n", dsm_error_detail());
		return 4;
	}
	shared = shared_get(node, nodes);
	if (!shared) {
		std::printf("Bail out! %s\n", dsm_error_detail());
		return 1;
	}
	std::printf("TAP version 13\n1..5\n");

	if (!node)
		extend(shared, 0);
	meet(shared);
	CHECK(shared->map.size() == PER_NODE);
	CHECK(shared->map.find(key_of(0, 7))->second == value_of(0, 7));
	result("map: what one node built, all read");

	meet(shared);
	if (node)
		extend(shared, node);
	meet(shared);
	check_all(shared, nodes);
	result("map: all nodes extend it");

	test_resource();
	result("memory_resource: containers of this process");

	test_stats();
	result("heap_stats: the structure and the function");

	meet(shared);
	/* the next node destroys it */
	for (int i = 0; i < PER_NODE; i++) {
		Guard guard(&shared->mutex);

		CHECK(shared->map.erase(key_of((node + 1) % nodes, i)) == 1);
	}
	meet(shared);
	CHECK(shared->map.empty());
	meet(shared);
	result("map: each erases what another inserted");
	if (!node)
		dsm_unlink(dsm_name(dsm_default()));
	return !!failures;
}
