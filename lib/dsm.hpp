/* SPDX-License-Identifier: MIT */
/*
 * C++ containers in memory that several machines share.
 *
 * dsm::allocator has no state: it is of the default region, which is at the
 * same address everywhere, so a container that is itself in the region
 * (dsm::make) can be used by every process of every node, as long as one at
 * a time does (dsm_mutex_t). What has virtual functions cannot be shared, as
 * programs are at addresses of their own; that includes containers of
 * std::pmr: dsm::memory_resource is for what one process uses.
 */
#ifndef _DSM_HPP
#define _DSM_HPP

#include <dsm.h>

#include <cerrno>
#include <cstddef>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <system_error>
#include <utility>

namespace dsm {

template <class T>
class allocator {
public:
	using value_type = T;
	using is_always_equal = std::true_type;
	using propagate_on_container_move_assignment = std::true_type;

	allocator() noexcept = default;
	template <class U>
	allocator(const allocator<U> &) noexcept {}

	[[nodiscard]] T *allocate(std::size_t n)
	{
		if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
			throw std::bad_array_new_length();
		void *ptr = alignof(T) <= 16 ? dsm_malloc(n * sizeof(T)) :
					       dsm_aligned_alloc(alignof(T), n * sizeof(T));
		if (!ptr)
			throw std::bad_alloc();
		return static_cast<T *>(ptr);
	}

	void deallocate(T *ptr, std::size_t) noexcept
	{
		dsm_free(ptr);
	}

	template <class U>
	bool operator==(const allocator<U> &) const noexcept
	{
		return true;
	}

	template <class U>
	bool operator!=(const allocator<U> &) const noexcept
	{
		return false;
	}
};

/* An object of the default region; and its end, on any node. */
template <class T, class... Args>
T *make(Args &&...args)
{
	allocator<T> memory;
	T *ptr = memory.allocate(1);

	try {
		return ::new (static_cast<void *>(ptr)) T(std::forward<Args>(args)...);
	} catch (...) {
		memory.deallocate(ptr, 1);
		throw;
	}
}

template <class T>
void destroy(T *ptr) noexcept
{
	if (!ptr)
		return;
	std::destroy_at(ptr);
	dsm_free(ptr);
}

/* A region's heap, or without one that of the default region. */
class memory_resource : public std::pmr::memory_resource {
public:
	explicit memory_resource(dsm_region *region = nullptr) noexcept : region_(region) {}

	dsm_region *region() const noexcept
	{
		return region_;
	}

private:
	void *do_allocate(std::size_t bytes, std::size_t align) override
	{
		dsm_region *region = region_ ? region_ : dsm_default();
		void *ptr = region ? dsm_heap_aligned_alloc(region, align, bytes) : nullptr;

		if (!ptr)
			throw std::bad_alloc();
		return ptr;
	}

	void do_deallocate(void *ptr, std::size_t, std::size_t) override
	{
		dsm_free(ptr);
	}

	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		auto *same = dynamic_cast<const memory_resource *>(&other);

		return same && same->region_ == region_;
	}

	dsm_region *region_;
};

using heap_stats = dsm_heap_stats_t;

/* dsm_heap_stats() of one node's part; throws what errno says. */
inline heap_stats stats(dsm_region *region, unsigned int node)
{
	heap_stats it = {};

	if (dsm_heap_stats(region, node, &it))
		throw std::system_error(errno, std::generic_category(), dsm_error_detail());
	return it;
}

} // namespace dsm

#endif /* _DSM_HPP */
