/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors of the environment: functions return them negated. Values are Linux's, so that hosted builds agree. */
#ifndef KERNEL_LIB_ERRNO_H
#define KERNEL_LIB_ERRNO_H

#define ENOENT    2
#define EIO       5
#define E2BIG     7
#define ENOEXEC   8
#define EAGAIN    11
#define ENOMEM    12
#define EFAULT    14
#define EBUSY     16
#define EEXIST    17
#define ENODEV    19
#define EINVAL    22
#define ENOSPC    28
#define EROFS     30
#define ERANGE    34
#define ENOSYS    38
#define EOVERFLOW 75
#define ENOTSUP   95
#define ETIMEDOUT 110

#endif
