/* SPDX-License-Identifier: MIT */
/* Messages from and to JSON, by cJSON. What comes from the network is looked at before cJSON sees it, and again
 * afterwards. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "message.h"

enum field { GROUP = 1, TEXT = 2, FROM = 4, COUNT = 8 };

static const struct {
	const char *name;
	unsigned fields;
} types[] = {
	[CHAT_JOIN] = { "join", GROUP },
	[CHAT_LEAVE] = { "leave", GROUP },
	[CHAT_POST] = { "post", GROUP | TEXT },
	[CHAT_JOINED] = { "joined", GROUP },
	[CHAT_LEFT] = { "left", GROUP },
	[CHAT_MESSAGE] = { "message", GROUP | FROM | TEXT },
	[CHAT_MISSED] = { "missed", GROUP | COUNT },
	[CHAT_ERROR] = { "error", TEXT },
};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

static const double number_max = 9007199254740992.0; /* 2^53: up to here a double counts */

/* --- before cJSON ------------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 sequence that begins here; 0: none does. */
static size_t sequence(const unsigned char *at, size_t left)
{
	size_t len = at[0] < 0x80                    ? 1
		     : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
		     : at[0] >> 4 == 0xe             ? 3
		     : at[0] >> 3 == 0x1e            ? 4
						     : 0;

	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (at[i] >> 6 != 2)
			return 0;
	}
	/* What fits into fewer bytes, surrogates, and what lies beyond Unicode. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] > 0x8f) || at[0] > 0xf4)
		return 0;
	return len;
}

static bool is_text(const char *line, size_t len)
{
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = line[at] != '\0' ? sequence((const unsigned char *)line + at, len - at) : 0;
		if (n == 0)
			return false;
	}
	return true;
}

/* Every message is an object of plain values. cJSON parses what is nested by recursion, which the stack of a fiber has no
 * room for: a line of a thousand brackets must not get that far. */
static bool is_flat(const char *line)
{
	bool quoted = false;
	int depth = 0;

	for (; *line != '\0' && depth <= 1; line++) {
		if (quoted && *line == '\\' && line[1] != '\0')
			line++;
		else if (*line == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += (*line == '{' || *line == '[') - (*line == '}' || *line == ']');
	}
	return depth <= 1;
}

/* --- and after ---------------------------------------------------------------------------------------------------- */

static bool take_type(struct chat_message *ret, const cJSON *object)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "type"));

	for (int type = 0; type < TYPES && name != NULL; type++) {
		if (strcmp(name, types[type].name) == 0) {
			ret->type = (enum chat_type)type;
			return true;
		}
	}
	return false;
}

static bool take_string(char *ret, size_t size, const cJSON *object, const char *name)
{
	const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
	size_t len = value != NULL ? strlen(value) : 0;

	if (len == 0 || len >= size)
		return false;
	memcpy(ret, value, len + 1);
	return true;
}

static bool take_number(uint64_t *ret, const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= number_max))
		return false;
	*ret = (uint64_t)item->valuedouble;
	return true;
}

/* NULL, or what is wrong. */
static const char *take(struct chat_message *ret, const cJSON *object)
{
	unsigned fields;

	if (!cJSON_IsObject(object))
		return "not a JSON object";
	if (!take_type(ret, object))
		return "no type that is known";
	fields = types[ret->type].fields;
	if ((fields & GROUP) && !take_string(ret->group, sizeof(ret->group), object, "group"))
		return "no group, or its name is too long";
	if ((fields & TEXT) && !take_string(ret->text, sizeof(ret->text), object, "text"))
		return "no text";
	if ((fields & FROM) && !take_number(&ret->from, object, "from"))
		return "no number of a client";
	if ((fields & COUNT) && !take_number(&ret->count, object, "count"))
		return "no count";
	return NULL;
}

int chat_parse(struct chat_message *ret, const char *line, size_t len, const char **ret_reason)
{
	struct chat_message message = { .type = CHAT_ERROR };
	cJSON *object = NULL;

	if (!is_text(line, len)) {
		*ret_reason = "not UTF-8";
	} else if (!is_flat(line)) {
		*ret_reason = "objects and arrays do not nest here";
	} else {
		object = cJSON_ParseWithOpts(line, NULL, true); /* and nothing behind it */
		*ret_reason = take(&message, object);
	}
	cJSON_Delete(object);
	if (*ret_reason != NULL)
		return -EBADMSG;
	*ret = message;
	return 0;
}

/* --- to JSON ------------------------------------------------------------------------------------------------------ */

static bool fill(cJSON *object, const struct chat_message *m)
{
	unsigned fields = types[m->type].fields;

	return cJSON_AddStringToObject(object, "type", types[m->type].name) != NULL &&
	       (!(fields & GROUP) || cJSON_AddStringToObject(object, "group", m->group) != NULL) &&
	       (!(fields & FROM) || cJSON_AddNumberToObject(object, "from", (double)m->from) != NULL) &&
	       (!(fields & COUNT) || cJSON_AddNumberToObject(object, "count", (double)m->count) != NULL) &&
	       (!(fields & TEXT) || cJSON_AddStringToObject(object, "text", m->text) != NULL);
}

int chat_format(char line[CHAT_LINE_MAX], const struct chat_message *message)
{
	cJSON *object = cJSON_CreateObject();
	size_t len;
	int rc = -ENOMEM;

	if (object != NULL && fill(object, message)) {
		rc = -EMSGSIZE;
		if (cJSON_PrintPreallocated(object, line, CHAT_LINE_MAX - 1, false)) {
			len = strlen(line);
			line[len] = '\n';
			line[len + 1] = '\0';
			rc = (int)len + 1;
		}
	}
	cJSON_Delete(object);
	return rc;
}
