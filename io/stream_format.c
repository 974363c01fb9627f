/* SPDX-License-Identifier: MIT */
/*
 * Whether a format of printf(3) asks for more room than there is by a number: a width, or the precision of a number. To find
 * that out by formatting takes seconds, and gigabytes for a floating-point number. The arguments are walked along for those
 * numbers that are arguments themselves. What is not known here (an argument by its position, a conversion of a later standard)
 * ends the walk: then the formatting finds out.
 *
 * Most formats have no such number, and none that is an argument: a short look at the format alone finds that out first.
 */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "stream_internal.h"

/* Whether there is a number as large, or one that is not known. From the blank to the nine there are all flags, the digits, and
 * what else may stand in a conversion before its letters, but for one flag. */
static bool may_ask_for(const char *at, size_t room)
{
	while ((at = strchr(at, '%')) != NULL) {
		size_t n = 0;

		for (at++; *at >= ' ' && *at <= '9' && *at != '%'; at++) {
			n = *at >= '0' ? n * 10 + (size_t)(*at - '0') : 0;
			if (*at == '*' || n >= room)
				return true;
		}
		if (*at == 'I')
			return true;
		at += *at == '%';
	}
	return false;
}

struct walk {
	const char *at;
	va_list arguments;
};

/* A number at the place of the walk, or the argument that stands for it; cut to INT_MAX. */
static long number(struct walk *w)
{
	long n = 0;

	if (*w->at == '*') {
		w->at++;
		return va_arg(w->arguments, int);
	}
	for (; *w->at >= '0' && *w->at <= '9'; w->at++)
		n = n < INT32_MAX / 10 ? n * 10 + (*w->at - '0') : INT32_MAX;
	return n;
}

/* Passes over the argument of a conversion. false: an unknown one. */
static bool pass(struct walk *w, char length)
{
	if (*w->at == '\0')
		return false;
	if (strchr("diouxX", *w->at) != NULL && length != '\0' && length != 'h')
		(void)va_arg(w->arguments, long); /* all that is longer than an int is as long */
	else if (strchr("diouxXcC", *w->at) != NULL)
		(void)va_arg(w->arguments, int); /* of a wide character, too */
	else if (strchr("aAeEfFgG", *w->at) != NULL && length == 'L')
		(void)va_arg(w->arguments, long double);
	else if (strchr("aAeEfFgG", *w->at) != NULL)
		(void)va_arg(w->arguments, double);
	else if (strchr("sSpn", *w->at) != NULL)
		(void)va_arg(w->arguments, void *);
	else
		return *w->at == 'm' || *w->at == '%';
	return true;
}

static bool asks_for(struct walk *w, size_t room)
{
	while ((w->at = strchr(w->at, '%')) != NULL) {
		long width, precision = 0;
		char length;

		w->at++;
		w->at += strspn(w->at, "-+ #0'I");
		width = number(w);
		if (*w->at == '.') {
			w->at++;
			precision = number(w);
		}
		length = strchr("hlqjzZtL", *w->at) != NULL ? *w->at : '\0';
		w->at += strspn(w->at, "hlqjzZtL");
		if (!pass(w, length))
			return false;
		if (strchr("sS", *w->at) != NULL)
			precision = 0; /* the most of it */
		w->at++;
		if (width < 0)
			width = -width; /* to the left */
		if (width >= (long)room || precision >= (long)room)
			return true;
	}
	return false;
}

bool rota__stream_format_asks_for(size_t room, const char *format, va_list arguments)
{
	struct walk w = { .at = format };
	bool asks;

	if (!may_ask_for(format, room))
		return false;
	va_copy(w.arguments, arguments);
	asks = asks_for(&w, room);
	va_end(w.arguments);
	return asks;
}
