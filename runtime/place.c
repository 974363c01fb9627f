/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "place_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const char *rota__name_place(char text[ROTA__PLACE_MAX], const void *address, bool call)
{
	const char *at = address;
	const char *file;
	Dl_info info;

	if (address == NULL || dladdr(call ? at - 1 : at, &info) == 0 || info.dli_fname == NULL) {
		snprintf(text, ROTA__PLACE_MAX, "%p", address);
		return text;
	}
	file = strrchr(info.dli_fname, '/') != NULL ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
	if (info.dli_sname != NULL)
		snprintf(text, ROTA__PLACE_MAX, "%.90s+0x%tx (%.40s+0x%tx)", info.dli_sname,
			 at - (char *)info.dli_saddr, file, at - (char *)info.dli_fbase);
	else
		snprintf(text, ROTA__PLACE_MAX, "%.80s+0x%tx", file, at - (char *)info.dli_fbase);
	return text;
}
