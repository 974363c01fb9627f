/* SPDX-License-Identifier: MIT */
#include "log_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sys_internal.h"

#define LINE_MAX_BYTES 512

static void log_line(const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	size_t len = (size_t)snprintf(line, sizeof(line), "rota: ");
	int n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);

	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	rota__sys_write_error(line, len);
}

void rota__log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

void rota__misuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(format, args);
	va_end(args);
#ifdef ROTA_DEBUG
	abort();
#endif
}
