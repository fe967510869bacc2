/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STARVE_H
#define STARVE_H

#include <stdbool.h>

/*
 * From here to relent(), the @nth allocation of this thread fails, in a kernel that can
 * do that; with @workers, that of each of the kernel's workers as well.
 */
void starve(unsigned int nth, bool workers);

/* Has one failed? */
bool relent(void);

#endif
