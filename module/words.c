// SPDX-License-Identifier: GPL-2.0
/*
 * Words: what the processes of a node share of its mutexes.
 *
 * The words of a region are made when the first process asks for them, and
 * mapped by all that may write to the region. uapi/linux/dsm.h has their form;
 * whose they are, and what a process may have made of them, is lease.c's.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "lease.h"
#include "node.h"
#include "region.h"
#include "sync_home.h"
#include "words.h"

static struct dsm_words *words_create(void)
{
	/* The caller gets the error. */
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct dsm_words *words = kvzalloc(sizeof(*words), gfp);

	if (!words)
		return NULL;
	/* Not vmalloc_user(), which complains of failures, and charges nobody. */
	words->word = __vmalloc(PAGE_ALIGN(DSM_WORDS_SIZE), gfp | __GFP_ZERO);
	if (!words->word) {
		kvfree(words);
		return NULL;
	}
	words->limit = 1;
	return words;
}

/* The region goes: no descriptor, and so no mapping, is left. */
void dsm_words_destroy(struct dsm_words *words)
{
	if (!words)
		return;
	vfree(words->word);
	kvfree(words);
}

/* The number of a process, or 0. */
u32 dsm_words_number(const struct dsm_words *words, struct dsm_opener *opener,
		     const struct dsm_process *process)
{
	u32 number;

	for (number = 1; number < words->limit; number++)
		if (words->process[number].opener == opener &&
		    dsm_process_same(&words->process[number].process, process))
			return number;
	return 0;
}

static int number_get(struct dsm_words *words, struct dsm_opener *opener, u32 *number)
{
	struct dsm_process process = dsm_process_current();
	u32 free;

	*number = dsm_words_number(words, opener, &process);
	if (*number)
		return 0;
	for (free = 1; free < words->limit && words->process[free].opener; free++)
		;
	if (free == DSM_WORD_PROCESS_OTHER)
		return -ENOSPC;
	words->process[free] = (struct dsm_words_process){ .opener = opener, .process = process };
	words->processes++;
	opener->numbers++;
	words->limit = max(words->limit, free + 1);
	*number = free;
	return 0;
}

/**
 * dsm_words_attach() - DSM_IOC_ATTACH
 * @region: the region, of which the caller is a user
 * @opener: the open file
 * @number: out: the number of the current process
 *
 * Return: 0; -ENOMEM; -ENOSPC. Sleeps.
 */
int dsm_words_attach(struct dsm_region *region, struct dsm_opener *opener, u32 *number)
{
	struct dsm_sync *sync = region->node->sync;
	struct dsm_words *words = NULL;
	int err;

	if (!READ_ONCE(region->words)) {
		words = words_create();
		if (!words)
			return -ENOMEM;
	}
	spin_lock(&sync->lock);
	if (!region->words) {
		/* Pairs with the acquire in dsm_words_mmap(). */
		smp_store_release(&region->words, words);
		words = NULL;
	}
	err = number_get(region->words, opener, number);
	spin_unlock(&sync->lock);
	dsm_words_destroy(words);
	if (err != -ENOSPC)
		return err;
	/* Some may be those of processes that ended without notice. */
	dsm_lease_reap(region);
	spin_lock(&sync->lock);
	err = number_get(region->words, opener, number);
	spin_unlock(&sync->lock);
	return err;
}

/* Give a number back. */
void dsm_words_detach(struct dsm_words *words, u32 number)
{
	words->process[number].opener->numbers--;
	words->process[number].opener = NULL;
	words->processes--;
	while (words->limit > 1 && !words->process[words->limit - 1].opener)
		words->limit--;
}

/*
 * mmap(2) of the words. The pages are counted by whoever maps them, and the VMA
 * holds the descriptor, which holds the region. Return: 0; -EINVAL; -ENOMEM.
 */
int dsm_words_mmap(struct dsm_region *region, struct vm_area_struct *vma)
{
	/* Pairs with the release in dsm_words_attach(). */
	struct dsm_words *words = smp_load_acquire(&region->words);
	unsigned long offset;
	int err = 0;

	if (!words || !(vma->vm_flags & VM_MAYSHARE) ||
	    vma->vm_end - vma->vm_start != PAGE_ALIGN(DSM_WORDS_SIZE))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (offset = 0; !err && offset < DSM_WORDS_SIZE; offset += PAGE_SIZE)
		err = vm_insert_page(vma, vma->vm_start + offset,
				     vmalloc_to_page((void *)words->word + offset));
	return err;
}
