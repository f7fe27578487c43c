// SPDX-License-Identifier: GPL-2.0
/*
 * The registry: which regions the cluster has.
 *
 * Node 0 gives out names, numbers and addresses. Every node has a copy of the
 * table, in the order of the registry's announcements.
 *
 *	node			registry			other nodes
 *	  |--- REGION_CREATE ----->|				     |
 *	  |<-- REGION_NEW ---------|------ REGION_NEW -------------->|
 *	  |--- REGION_NEW_ACK ---->|<----- REGION_NEW_ACK -----------|
 *	  |<-- REGION_REPLY -------|	when all that are up have acknowledged
 *
 * REGION_UNLINK goes the same way, with REGION_GONE and REGION_GONE_ACK. A node is granted a region's
 * use when it makes the region, and by REGION_USE; when it has no user of the
 * region any more, it gives back what it was granted with REGION_IDLE. They are
 * counted, since a grant and an IDLE may cross. A region that is gone and has no
 * grants out is over: the registry says REGION_FREE. A node that is down hears of
 * all that when it comes up, since the announcements wait in its queue; nobody
 * waits for it, except that a region it uses is not freed.
 *
 * Numbers are given in order, and begin where the registry's incarnation says, which
 * is random: a registry that has been started again does not give the numbers of the
 * one before it, so that what is left of a message about an old region is not taken
 * for one about a new one. Every node knows where they begin, see
 * dsm_region_missing().
 */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include "batch.h"
#include "messages.h"
#include "msg.h"
#include "node.h"
#include "park.h"
#include "peer.h"
#include "region.h"
#include "registry.h"
#include "table.h"
#include "user.h"
#include "wait.h"

/**
 * struct announcement - at the registry: what nodes have to acknowledge
 * @list: in struct dsm_registry
 * @region: the region's number
 * @type: DSM_REGION_NEW or DSM_REGION_GONE
 * @origin: who asked
 * @req: its request's number
 * @waiting: nodes that have not acknowledged, and are up
 */
struct announcement {
	struct list_head list;
	u32 region;
	u8 type;
	u16 origin;
	u32 req;
	DECLARE_BITMAP(waiting, DSM_NODES_MAX);
};

/**
 * struct dsm_registry - what node 0 knows beyond its table of regions
 * All of it is protected by node->regions_lock.
 */
struct dsm_registry {
	struct list_head announcements;
	u32 last_id;
};

/* A caller that waits for a reply. */
struct call {
	struct list_head list;
	u32 req;
	u32 region;
	int error;
	struct completion done;
};

/* The number before the first that a registry gives: half of all numbers come after. */
static u32 id_base(u64 incarnation)
{
	return incarnation >> 33;
}

/* ------------------------------------------------------------------------
 * At the registry
 */

static struct dsm_msg *message(u8 type, u32 region)
{
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL | __GFP_NOFAIL);

	msg->type = type;
	msg->region = region;
	return msg;
}

static void reply(struct dsm_node *node, u16 to, u32 req, u32 region, int error,
		  struct dsm_batch *batch)
{
	struct dsm_msg *msg = message(DSM_REGION_REPLY, region);

	msg->req = req;
	msg->error = -error;
	dsm_post(node, to, msg, batch);
}

static void announce_to(struct dsm_node *node, u16 to, u8 type, const struct dsm_region *region)
{
	struct dsm_msg *msg = message(type, region->id);

	if (type == DSM_REGION_NEW) {
		dsm_table_to_wire(region, &msg->body.region);
		msg->body_len = sizeof(msg->body.region);
	}
	dsm_peer_post(node->peers[to], msg);
}

/* A node may use a region; if that is gone already, it will find that out. */
static void grant(struct dsm_node *node, u16 to, u32 id)
{
	struct dsm_region *region = xa_load(&node->regions, id);

	lockdep_assert_held(&node->regions_lock);

	if (!region || region->gone)
		return;
	region->uses[to]++;
	if (to == node->id)
		region->grants++;
}

/* All that are up know: the one who asked may go on. */
static void announcement_check(struct dsm_node *node, struct announcement *ann,
			       struct dsm_batch *batch)
{
	lockdep_assert_held(&node->regions_lock);

	if (!bitmap_empty(ann->waiting, node->nodes))
		return;
	if (ann->type == DSM_REGION_NEW)
		grant(node, ann->origin, ann->region);
	reply(node, ann->origin, ann->req, ann->region, 0, batch);
	list_del(&ann->list);
	kfree(ann);
}

static void announce(struct dsm_node *node, u8 type, const struct dsm_region *region,
		     const struct dsm_msg *request, struct announcement *ann,
		     struct dsm_batch *batch)
{
	u16 id;

	lockdep_assert_held(&node->regions_lock);

	ann->region = region->id;
	ann->type = type;
	ann->origin = request->from;
	ann->req = request->req;
	list_add_tail(&ann->list, &node->registry->announcements);
	for (id = 0; id < node->nodes; id++) {
		if (id == node->id)
			continue;
		if (READ_ONCE(node->peers[id]->link) == DSM_LINK_UP)
			__set_bit(id, ann->waiting);
		announce_to(node, id, type, region);
	}
	announcement_check(node, ann, batch);
}

/* The lowest address where the region fits, or 0. */
static u64 place(struct dsm_node *node, u64 size)
{
	u64 base = DSM_ADDR_MIN;
	struct dsm_region *region;
	unsigned long id;
	bool moved;

	lockdep_assert_held(&node->regions_lock);

	size = round_up(size, DSM_CHUNK_SIZE);
	do {
		moved = false;
		if (size > DSM_ADDR_MAX - base)
			return 0;
		xa_for_each(&node->regions, id, region) {
			u64 end = region->base + round_up(region->size, DSM_CHUNK_SIZE);

			if (region->base < base + size && base < end) {
				base = end;
				moved = true;
			}
		}
	} while (moved);
	return base;
}

static int registry_create(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_wire_region wire = msg->body.region;
	struct dsm_region *region;
	struct announcement *ann;
	u64 base;
	int err;

	if (!dsm_region_name_valid(wire.name))
		return -EBADMSG;
	if (dsm_region_find_locked(node, wire.name)) {
		reply(node, msg->from, msg->req, 0, -EEXIST, batch);
		return 0;
	}
	if (!(msg->flags & DSM_WIRE_PRIVILEGED)) {
		kuid_t uid = make_kuid(&init_user_ns, le32_to_cpu(wire.uid));

		err = dsm_user_check_create(node, uid, le64_to_cpu(wire.size));
		if (err) {
			reply(node, msg->from, msg->req, 0, err, batch);
			return 0;
		}
	}
	base = place(node, le64_to_cpu(wire.size));
	if (!base || atomic_read(&node->n_regions) >= DSM_REGIONS_MAX ||
	    node->registry->last_id == U32_MAX) {
		reply(node, msg->from, msg->req, 0, -ENOSPC, batch);
		return 0;
	}
	ann = kzalloc(sizeof(*ann), GFP_KERNEL_ACCOUNT);
	if (!ann) {
		reply(node, msg->from, msg->req, 0, -ENOMEM, batch);
		return 0;
	}
	wire.base = cpu_to_le64(base);
	wire.creator = cpu_to_le32(msg->from);
	region = dsm_table_create(node, node->registry->last_id + 1, &wire);
	if (IS_ERR(region)) {
		kfree(ann);
		reply(node, msg->from, msg->req, 0, PTR_ERR(region), batch);
		return 0;
	}
	region->uses = kvcalloc(node->nodes, sizeof(*region->uses), GFP_KERNEL_ACCOUNT);
	err = region->uses ? dsm_table_insert(region) : -ENOMEM;
	if (err) {
		dsm_region_put(region);
		kfree(ann);
		reply(node, msg->from, msg->req, 0, err, batch);
		return 0;
	}
	node->registry->last_id++;
	announce(node, DSM_REGION_NEW, region, msg, ann, batch);
	return 0;
}

/* Nobody waits for a peer that will not hear of the region. */
static void announcements_unheard(struct dsm_node *node, u32 region, u16 peer,
				  struct dsm_batch *batch)
{
	struct announcement *ann, *next;

	lockdep_assert_held(&node->regions_lock);

	list_for_each_entry_safe(ann, next, &node->registry->announcements, list) {
		if (ann->region != region)
			continue;
		__clear_bit(peer, ann->waiting);
		announcement_check(node, ann, batch);
	}
}

/* Nobody uses it any more: it is freed everywhere. Its announcements may be over after this. */
static void free_unused(struct dsm_region *region, struct dsm_batch *batch)
{
	struct dsm_node *node = region->node;
	u16 id;

	lockdep_assert_held(&node->regions_lock);

	if (!region->gone ||
	    memchr_inv(region->uses, 0, node->nodes * sizeof(*region->uses)))
		return;
	for (id = 0; id < node->nodes; id++) {
		if (id == node->id)
			continue;
		if (dsm_peer_unhear(node->peers[id], region->id))
			announcements_unheard(node, region->id, id, batch);
		else
			announce_to(node, id, DSM_REGION_FREE, region);
	}
	dsm_table_remove(region);
}

static int registry_unlink(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	const char *name = msg->body.region.name;
	struct dsm_region *region;
	struct announcement *ann;
	kuid_t uid;

	if (!dsm_region_name_valid(name))
		return -EBADMSG;
	region = dsm_region_find_locked(node, name);
	if (!region) {
		reply(node, msg->from, msg->req, 0, -ENOENT, batch);
		return 0;
	}
	uid = make_kuid(&init_user_ns, le32_to_cpu(msg->body.region.uid));
	if (!uid_eq(uid, region->uid) && !(msg->flags & DSM_WIRE_PRIVILEGED)) {
		reply(node, msg->from, msg->req, 0, -EACCES, batch);
		return 0;
	}
	ann = kzalloc(sizeof(*ann), GFP_KERNEL_ACCOUNT);
	if (!ann) {
		reply(node, msg->from, msg->req, 0, -ENOMEM, batch);
		return 0;
	}
	announce(node, DSM_REGION_GONE, region, msg, ann, batch);
	dsm_table_set_gone(region, batch);
	free_unused(region, batch);
	return 0;
}

/* All that the registry knows has been announced, before this answer. */
static int registry_ask(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_msg *answer = dsm_msg_alloc(GFP_KERNEL);

	if (!answer)
		return -ENOMEM;
	answer->type = DSM_REGION_TOLD;
	answer->region = msg->region;
	dsm_post(node, msg->from, answer, batch);
	return 0;
}

static int registry_ack(struct dsm_node *node, struct dsm_msg *msg, u8 type,
			struct dsm_batch *batch)
{
	struct announcement *ann;

	lockdep_assert_held(&node->regions_lock);

	list_for_each_entry(ann, &node->registry->announcements, list) {
		if (ann->region != msg->region || ann->type != type)
			continue;
		__clear_bit(msg->from, ann->waiting);
		announcement_check(node, ann, batch);
		return 0;
	}
	return 0;
}

static int registry_new_ack(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	return registry_ack(node, msg, DSM_REGION_NEW, batch);
}

static int registry_gone_ack(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	return registry_ack(node, msg, DSM_REGION_GONE, batch);
}

static int registry_use(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region = xa_load(&node->regions, msg->region);
	bool over = !region || region->gone;

	if (!over)
		grant(node, msg->from, msg->region);
	reply(node, msg->from, msg->req, msg->region, over ? -ENOENT : 0, batch);
	return 0;
}

static void give_back(struct dsm_region *region, u16 from, u32 grants, struct dsm_batch *batch)
{
	region->uses[from] -= min(region->uses[from], grants);
	free_unused(region, batch);
}

static int registry_idle(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region = xa_load(&node->regions, msg->region);

	/* If not, we took it for a node that has lost its memory, and it has not. */
	if (region)
		give_back(region, msg->from, msg->req, batch);
	return 0;
}

/* ------------------------------------------------------------------------
 * At every node
 */

/**
 * dsm_registry_ask() - ask whether there is a region
 * @node: us; not the registry
 * @region: its id
 *
 * Return: 0, and DSM_REGION_TOLD will come; -ENOMEM.
 */
int dsm_registry_ask(struct dsm_node *node, u32 region)
{
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL_ACCOUNT);

	if (!msg)
		return -ENOMEM;
	msg->type = DSM_REGION_ASK;
	msg->region = region;
	dsm_peer_post(node->peers[DSM_REGISTRY_NODE], msg);
	return 0;
}

static int node_new(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region;
	int err;

	if (msg->region <= node->region_id_seen)
		return -EPROTO;
	/* The registry has no more itself; some that are freed may be referenced here. */
	if (atomic_read(&node->n_regions) >= 2 * DSM_REGIONS_MAX)
		return -EPROTO;
	/* Here, since sysfs says it of a name that is there with a stack dump. */
	if (!dsm_region_name_valid(msg->body.region.name) ||
	    dsm_region_find_locked(node, msg->body.region.name))
		return -EPROTO;
	region = dsm_table_create(node, msg->region, &msg->body.region);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = dsm_table_insert(region);
	if (err) {
		dsm_region_put(region);
		return err;
	}
	dsm_peer_post(node->peers[DSM_REGISTRY_NODE], message(DSM_REGION_NEW_ACK, region->id));
	dsm_parks_deliver(node);
	return 0;
}

static int node_told(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	if (!xa_load(&node->regions, msg->region))
		dsm_park_forget(node, msg->region);
	return 0;
}

static int node_gone(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region = xa_load(&node->regions, msg->region);
	struct dsm_msg *ack;

	if (!region)
		return -EPROTO;
	ack = message(DSM_REGION_GONE_ACK, region->id);
	dsm_table_set_gone(region, batch);
	dsm_peer_post(node->peers[DSM_REGISTRY_NODE], ack);
	return 0;
}

static int node_free(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region = xa_load(&node->regions, msg->region);

	if (!region || !region->gone || atomic_read(&region->users))
		return -EPROTO;
	dsm_table_remove(region);
	return 0;
}

/*
 * A region's use has been granted, whether somebody still waits for that or not. An
 * answer to UNLINK has a region, too, but one that is gone.
 */
static void granted(struct dsm_node *node, const struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct dsm_region *region = xa_load(&node->regions, msg->region);

	/* At the registry that was done with grant(). */
	if (!region || msg->error || node->id == DSM_REGISTRY_NODE)
		return;
	region->grants++;
	if (region->gone && !atomic_read(&region->users))
		dsm_table_say_idle(region, batch);
}

static int node_reply(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	struct call *call;

	granted(node, msg, batch);
	spin_lock(&node->calls_lock);
	list_for_each_entry(call, &node->calls, list) {
		if (call->req != msg->req)
			continue;
		call->region = msg->region;
		call->error = msg->error > MAX_ERRNO ? -EPROTO : -(int)msg->error;
		complete(&call->done);
		break;
	}
	/* Nobody waits any more: that is allowed. */
	spin_unlock(&node->calls_lock);
	return 0;
}

#define HANDLER(name, body, flags, runs, early, by, take)	[DSM_##name - DSM_REGION_CREATE] = take,

static int (* const handlers[])(struct dsm_node *node, struct dsm_msg *msg,
				struct dsm_batch *batch) = {
	DSM_REGION_MESSAGES(HANDLER)
};

/* The caller has checked that the sender may say this: see messages.h. */
int dsm_registry_receive(struct dsm_node *node, struct dsm_msg *msg, struct dsm_batch *batch)
{
	int err;

	mutex_lock(&node->regions_lock);
	err = handlers[msg->type - DSM_REGION_CREATE](node, msg, batch);
	mutex_unlock(&node->regions_lock);
	return err;
}

/* A session with the registry begins; @other: with another, of whose regions we have none. */
void dsm_registry_begun(struct dsm_node *node, bool other, u64 incarnation)
{
	lockdep_assert_held(&node->regions_lock);

	if (other) {
		node->region_id_base = id_base(incarnation);
		node->region_id_seen = id_base(incarnation);
	}
	dsm_parks_deliver(node);
}

/* A node has lost its memory: it uses nothing. */
void dsm_registry_peer_stale(struct dsm_node *node, u16 peer)
{
	struct dsm_region *region;
	struct dsm_batch batch;
	unsigned long id;

	if (node->id != DSM_REGISTRY_NODE)
		return;
	dsm_batch_init(&batch);
	mutex_lock(&node->regions_lock);
	xa_for_each(&node->regions, id, region)
		give_back(region, peer, U32_MAX, &batch);
	mutex_unlock(&node->regions_lock);
	dsm_batch_end(&batch, node);
}

/* Nobody waits for a node that is down. */
void dsm_registry_peer_down(struct dsm_node *node, u16 peer)
{
	struct announcement *ann, *next;
	struct dsm_batch batch;

	if (!dsm_node_configured(node) || node->id != DSM_REGISTRY_NODE)
		return;
	dsm_batch_init(&batch);
	mutex_lock(&node->regions_lock);
	list_for_each_entry_safe(ann, next, &node->registry->announcements, list) {
		__clear_bit(peer, ann->waiting);
		announcement_check(node, ann, &batch);
	}
	mutex_unlock(&node->regions_lock);
	dsm_batch_end(&batch, node);
}

/* ------------------------------------------------------------------------
 * Callers
 */

static int call(struct dsm_node *node, struct dsm_msg *msg, u32 *region)
{
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(node->timeout_ms));
	struct call call = { .req = dsm_node_next_req(node) };
	struct dsm_batch batch;
	long left;

	init_completion(&call.done);
	spin_lock(&node->calls_lock);
	list_add(&call.list, &node->calls);
	spin_unlock(&node->calls_lock);

	msg->req = call.req;
	/* Where we are the registry, the caller is charged for what that allocates. */
	dsm_batch_init(&batch);
	dsm_post(node, DSM_REGISTRY_NODE, msg, &batch);
	dsm_batch_end(&batch, node);
	left = wait_for_completion_interruptible_timeout(&call.done, timeout);

	spin_lock(&node->calls_lock);
	list_del(&call.list);
	spin_unlock(&node->calls_lock);
	if (left < 0)
		return -EINTR;
	if (!left)
		return -ETIMEDOUT;
	*region = call.region;
	return call.error;
}

/**
 * ask_use() - ask for a region's use, if that is not granted
 * @region: the region
 *
 * Sleeps. Return: 0, it was granted, and may have been given back since; -ENOENT, it
 * has been unlinked; -ETIMEDOUT; -EINTR; -ENOMEM.
 */
static int ask_use(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	struct dsm_msg *msg;
	int err = 0;
	u32 id;

	if (mutex_lock_interruptible(&region->use_lock))
		return -EINTR;
	if (READ_ONCE(region->grants))
		goto unlock;
	err = -ENOMEM;
	msg = dsm_msg_alloc(GFP_KERNEL);
	if (!msg)
		goto unlock;
	msg->type = DSM_REGION_USE;
	msg->region = region->id;
	err = call(node, msg, &id);
unlock:
	mutex_unlock(&region->use_lock);
	return err;
}

/**
 * region_use() - become a user
 * @region: the region, referenced
 *
 * Return: 0; -ENOENT, its name is gone; as ask_use(), if nobody here uses it.
 */
static int region_use(struct dsm_region *region)
{
	struct dsm_node *node = region->node;
	bool granted;
	int err = 0;

	do {
		mutex_lock(&node->regions_lock);
		granted = region->grants && !region->gone;
		if (granted)
			dsm_region_get_user(region);
		else if (region->gone)
			err = -ENOENT;
		mutex_unlock(&node->regions_lock);
		/* The grant may be given back before we are a user. */
		if (!granted && !err)
			err = ask_use(region);
	} while (!granted && !err);
	return err;
}

/**
 * dsm_registry_create_region() - make a region, everywhere
 * @node: us
 * @arg: what kind; checked
 * @out: the region, of which the caller is a user
 *
 * Return: 0; -EEXIST; -EDQUOT, the caller has as many or as much as a user may
 * have; -ENOSPC; -ETIMEDOUT, it may be made yet; -EINTR, likewise; -ENOMEM;
 * -ENOENT, it has been unlinked already.
 */
int dsm_registry_create_region(struct dsm_node *node, const struct dsm_region_arg *arg,
			       struct dsm_region **out)
{
	struct dsm_msg *msg = dsm_msg_alloc(GFP_KERNEL);
	struct dsm_wire_region *wire;
	struct dsm_region *region;
	u32 id;
	int err;

	if (!msg)
		return -ENOMEM;
	wire = &msg->body.region;
	msg->type = DSM_REGION_CREATE;
	msg->body_len = sizeof(*wire);
	strscpy(wire->name, arg->name, sizeof(wire->name));
	wire->size = cpu_to_le64(arg->size);
	wire->block_size = cpu_to_le32(arg->block_size);
	wire->home = cpu_to_le32(arg->home);
	wire->mode = cpu_to_le32(arg->mode);
	wire->uid = cpu_to_le32(from_kuid(&init_user_ns, current_fsuid()));
	wire->gid = cpu_to_le32(from_kgid(&init_user_ns, current_fsgid()));
	wire->creator = cpu_to_le32(node->id);
	if (ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE))
		msg->flags = DSM_WIRE_PRIVILEGED;
	err = call(node, msg, &id);
	if (err)
		return err;

	mutex_lock(&node->regions_lock);
	region = xa_load(&node->regions, id);
	if (region)
		dsm_region_get(region);
	mutex_unlock(&node->regions_lock);
	if (!region)
		return -ENOENT;
	err = region_use(region);
	dsm_region_put(region);
	*out = region;
	return err;
}

static bool permitted(const struct dsm_region *region, unsigned int want)
{
	unsigned int bits = region->mode;

	if (uid_eq(current_fsuid(), region->uid))
		bits >>= 6;
	else if (in_group_p(region->gid))
		bits >>= 3;
	return (bits & want) == want || capable(CAP_DAC_OVERRIDE);
}

/**
 * dsm_registry_open() - find a region by name, and become a user of it
 * @node: us
 * @name: the name
 * @rdonly: for reading only
 * @out: the region
 *
 * Return: 0; -ENOENT; -EACCES; if nobody here uses it yet, also -ETIMEDOUT, the
 * registry has not answered; -EINTR; -ENOMEM.
 */
int dsm_registry_open(struct dsm_node *node, const char *name, bool rdonly,
		    struct dsm_region **out)
{
	struct dsm_region *region;
	int err = 0;

	mutex_lock(&node->regions_lock);
	region = dsm_region_find_locked(node, name);
	if (!region)
		err = -ENOENT;
	else if (!permitted(region, rdonly ? 4 : 6))
		err = -EACCES;
	else
		dsm_region_get(region);
	mutex_unlock(&node->regions_lock);
	if (err)
		return err;
	err = region_use(region);
	dsm_region_put(region);
	*out = region;
	return err;
}

/*
 * Take a region's name away, everywhere. Errors as above, and -EACCES: the registry decides
 * who may do that.
 */
int dsm_registry_unlink(struct dsm_node *node, const char *name)
{
	struct dsm_region *region;
	struct dsm_msg *msg;
	u32 id;

	mutex_lock(&node->regions_lock);
	region = dsm_region_find_locked(node, name);
	mutex_unlock(&node->regions_lock);
	if (!region)
		return -ENOENT;

	msg = dsm_msg_alloc(GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	msg->type = DSM_REGION_UNLINK;
	msg->body_len = sizeof(msg->body.region);
	strscpy(msg->body.region.name, name, sizeof(msg->body.region.name));
	msg->body.region.uid = cpu_to_le32(from_kuid(&init_user_ns, current_fsuid()));
	if (ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN))
		msg->flags = DSM_WIRE_PRIVILEGED;
	return call(node, msg, &id);
}

int dsm_registry_init(struct dsm_node *node)
{
	node->registry = kzalloc(sizeof(*node->registry), GFP_KERNEL_ACCOUNT);
	if (!node->registry)
		return -ENOMEM;
	INIT_LIST_HEAD(&node->registry->announcements);
	node->registry->last_id = id_base(node->incarnation);
	return 0;
}

void dsm_registry_exit(struct dsm_node *node)
{
	struct announcement *ann, *next_ann;

	list_for_each_entry_safe(ann, next_ann, &node->registry->announcements, list)
		kfree(ann);
	kfree(node->registry);
}
