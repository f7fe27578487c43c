// SPDX-License-Identifier: GPL-2.0
/*
 * Hello: who one is, and what one speaks. The version is looked at first: it
 * says whether the rest can be understood.
 */
#include <endian.h>
#include <stdio.h>
#include <unistd.h>

#include "config.h"
#include "hello.h"
#include "links.h"

void hello_fill(const struct links *links, struct dsm_wire_hello *hello)
{
	*hello = (struct dsm_wire_hello){
		.version_min = htole16(links->version_min),
		.version = htole16(links->version),
		.node = htole32((uint32_t)links->config->node),
		.nodes = htole32(links->config->nodes),
		.page_size = htole32((uint32_t)sysconf(_SC_PAGESIZE)),
		.incarnation = htole64(links->incarnation),
	};
}

/* Does it say that it is this node? */
bool hello_is_ours(const struct links *links, const struct dsm_wire_hello *hello)
{
	return le16toh(hello->version_min) <= links->version &&
	       le16toh(hello->version) >= links->version_min &&
	       le32toh(hello->node) == (uint32_t)links->config->node;
}

/* False, and why, if we cannot work with who sent it. */
bool hello_check(const struct links *links, const struct dsm_wire_hello *hello,
		 char *why, size_t size)
{
	uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	uint16_t version_min = le16toh(hello->version_min);
	uint32_t nodes = links->config->nodes;
	uint16_t version = le16toh(hello->version);
	uint32_t node = le32toh(hello->node);

	if (version_min > links->version || version < links->version_min)
		snprintf(why, size, "peer %u speaks protocol %u to %u, we speak %u to %u", node,
			 version_min, version, links->version_min, links->version);
	else if (node >= nodes || node == (uint32_t)links->config->node)
		snprintf(why, size, "a node that says it is %u; we are %d, and our peers 0 to %u",
			 node, links->config->node, nodes - 1);
	else if (le32toh(hello->nodes) != nodes)
		snprintf(why, size, "peer %u is configured for %u nodes, we are for %u", node,
			 le32toh(hello->nodes), nodes);
	else if (le32toh(hello->page_size) != page_size)
		snprintf(why, size, "peer %u has pages of %u bytes, ours are %u", node,
			 le32toh(hello->page_size), page_size);
	else
		return true;
	return false;
}
