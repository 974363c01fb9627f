/* SPDX-License-Identifier: MIT */
/* Name resolution. Numbers are read in place; names go to getaddrinfo(3) in the blocking pool. */
#ifndef ROTA_IO_RESOLVE_INTERNAL_H
#define ROTA_IO_RESOLVE_INTERNAL_H

#include <netdb.h>

/* 0: *ret is a list for freeaddrinfo. -ENOENT: no such name; -EAGAIN: the resolver failed for now; -ECANCELED. */
int rota__resolve(const char *host, const char *port, int flags, struct addrinfo **ret);

#endif
