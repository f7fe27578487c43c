/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DSM_FAULT_H
#define _DSM_FAULT_H

struct dsm_region;
struct vm_area_struct;

int dsm_fault_mmap(struct dsm_region *region, struct vm_area_struct *vma);
int dsm_fault_mmap_window(struct dsm_region *region, struct vm_area_struct *vma);

#endif /* _DSM_FAULT_H */
