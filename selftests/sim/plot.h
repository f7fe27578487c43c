/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SIM_PLOT_H
#define _SIM_PLOT_H

#include "config.h"

int plot(const struct config *config, const char *path, const char *nodes);

#endif /* _SIM_PLOT_H */
