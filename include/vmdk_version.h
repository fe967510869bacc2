/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef VMDK_VERSION_H
#define VMDK_VERSION_H

#define VMDK_VERSION "0.1.0"

#endif /* VMDK_VERSION_H */
