/* memory (private): what machine_read says of memory. */
#pragma once

/* More than any machine has; what groups without a limit say in version 1 is about this much. */
#define MEMORY_UNLIMITED 9e18

/* The least limit of the control groups that `groups` (as /proc/self/cgroup) names below `root`. */
double memory_group_limit(const char *groups, const char *root);
/* Of the machine, or what the control groups allow of it. */
double memory_total(void);
