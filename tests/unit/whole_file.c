/* SPDX-License-Identifier: MIT */
/*
 * Whole files from every place. Reading: limits, files that are no files. Writing: whichever step fails or is cancelled, the
 * former content is whole or the new one is, and nothing else is left in the directory, nor a descriptor.
 */
#define _GNU_SOURCE
#include "../../io/whole_file.h"

#include <sys/syscall.h>

#include "../../io/fd.h"
#include "../../runtime/sys_internal.h"
#include "places.h"
#include "plain.h"

struct yard {
	char directory[200], path[256];
};

static void yard_init(struct yard *yard)
{
	plain_directory(yard->directory);
	snprintf(yard->path, sizeof(yard->path), "%s/file", yard->directory);
}

static void yard_deinit(struct yard *yard)
{
	unlink(yard->path);
	expect(rmdir(yard->directory), ==, 0); /* nothing else is in it */
}

static void expect_content(const char *path, const char *content)
{
	char *bytes = NULL;
	size_t len = 0;

	expect(rota_read_file(path, 1 << 20, &bytes, &len), ==, 0);
	expect(len, ==, strlen(content));
	expect_text(bytes, content);
	free(bytes);
}

static void read_script(const struct place *place)
{
	struct rota_read_file_op op;
	struct yard yard;

	yard_init(&yard);
	int fd = open(yard.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	rota_op_read_file(&op, yard.path, 0);
	expect(place->carry(place, &op.future), ==, 0); /* an empty one */
	expect(op.len, ==, 0);
	expect_text(op.bytes, "");
	free(op.bytes);
	expect(write(fd, "0123456789", 10), ==, 10);
	for (size_t limit = 0; limit < 20; limit++) {
		rota_op_read_file(&op, yard.path, limit);
		expect(place->carry(place, &op.future), ==, limit < 10 ? -EFBIG : 0);
		if (limit >= 10)
			expect_text(op.bytes, "0123456789");
		else
			expect_pointer(op.bytes, ==, NULL);
		free(op.bytes);
	}
	rota_op_read_file(&op, yard.path, SIZE_MAX);
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.len, ==, 10);
	free(op.bytes);
	rota_op_read_file(&op, "/proc/self/status", SIZE_MAX); /* its size is said to be 0 */
	expect(place->carry(place, &op.future), ==, 0);
	expect(op.len, ==, strlen(op.bytes));
	expect_contains(op.bytes, "Threads:");
	free(op.bytes);
	rota_op_read_file(&op, "/dev/zero", 100000);
	expect(place->carry(place, &op.future), ==, -EFBIG);
	rota_op_read_file(&op, yard.directory, 100);
	expect(place->carry(place, &op.future), ==, -EISDIR);
	rota_op_read_file(&op, yard.path, 100);
	rota_future_cancel(&op.future);
	expect(place->carry(place, &op.future), ==, -ECANCELED);
	close(fd);
	yard_deinit(&yard);
	rota_op_read_file(&op, yard.path, 100);
	expect(place->carry(place, &op.future), ==, -ENOENT);
}

UNIT_TEST(whole_file, read_with_a_limit)
{
	everyhow(read_script);
}

static void write_script(const struct place *place)
{
	struct rota_write_file_op op;
	struct stat status;
	struct yard yard;
	char link[256], *large = malloc(3000001);
	mode_t mask = umask(027);

	yard_init(&yard);
	rota_op_write_file(&op, yard.path, "one", 3, 0666);
	expect(place->carry(place, &op.future), ==, 0);
	expect(stat(yard.path, &status), ==, 0);
	expect(status.st_mode, ==, S_IFREG | 0640);
	expect_content(yard.path, "one");
	memset(large, 'x', 3000000);
	large[3000000] = '\0';
	rota_op_write_file(&op, yard.path, large, 3000000, 0600);
	expect(place->carry(place, &op.future), ==, 0);
	expect(stat(yard.path, &status), ==, 0);
	expect(status.st_size, ==, 3000000);
	rota_op_write_file(&op, yard.path, "", 0, 0600);
	expect(place->carry(place, &op.future), ==, 0);
	expect_content(yard.path, "");
	snprintf(link, sizeof(link), "%s/link", yard.directory);
	expect(symlink("file", link), ==, 0);
	rota_op_write_file(&op, link, "replaced", 8, 0600);
	expect(place->carry(place, &op.future), ==, 0);
	expect(lstat(link, &status), ==, 0);
	expect(status.st_mode & S_IFMT, ==, S_IFREG);
	expect_content(yard.path, "");
	expect(unlink(link), ==, 0);
	yard_deinit(&yard);
	umask(mask);
	free(large);
}

UNIT_TEST(whole_file, write)
{
	everyhow(write_script);
}

static void refused_script(const struct place *place)
{
	struct yard yard;
	char path[5000];

	(void)place;
	yard_init(&yard);
	expect(rota_write_file(NULL, "x", 1, 0600), ==, -EFAULT);
	expect(rota_write_file("", "x", 1, 0600), ==, -EINVAL);
	expect(rota_write_file("a/", "x", 1, 0600), ==, -EINVAL);
	expect(rota_write_file("a/.", "x", 1, 0600), ==, -EINVAL);
	expect(rota_write_file("..", "x", 1, 0600), ==, -EINVAL);
	expect(rota_write_file("/none-such-directory/file", "x", 1, 0600), ==, -ENOENT);
	snprintf(path, sizeof(path), "%s/%0300d", yard.directory, 1);
	expect(rota_write_file(path, "x", 1, 0600), ==, -ENAMETOOLONG);
	snprintf(path, sizeof(path), "/%04200d/a", 1);
	expect(rota_write_file(path, "x", 1, 0600), ==, -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/%0255d", yard.directory, 1); /* the longest that there is */
	expect(rota_write_file(path, "x", 1, 0600), ==, 0);
	expect_content(path, "x");
	expect(unlink(path), ==, 0);
	expect(mkdir(yard.path, 0700), ==, 0);
	expect(rota_write_file(yard.path, "x", 1, 0600), ==, -EISDIR); /* only the rename finds out */
	expect(rmdir(yard.path), ==, 0);
	yard_deinit(&yard);
}

UNIT_TEST(whole_file, refused)
{
	everywhere(refused_script);
}

/* Each step in turn fails; the first run without a fault is the last. */
static void fault_script(const struct place *place)
{
	struct yard yard;
	bool replaced = false;
	unsigned nth = 1;
	int rc = -1;

	(void)place;
	yard_init(&yard);
	expect(rota_write_file(yard.path, "old", 3, 0600), ==, 0);
	for (; rc < 0; nth++) {
		expect(nth, <, 50);
		rota__fault_arm(ROTA__FAULT_OP, nth, -ENOSPC);
		rc = rota_write_file(yard.path, "new", 3, 0600);
		rota__fault_arm(ROTA__FAULT_OP, 0, 0);
		if (rc < 0)
			expect(rc, ==, -ENOSPC);
		char *bytes;
		expect(rota_read_file(yard.path, 10, &bytes, NULL), ==, 0);
		if (strcmp(bytes, "new") == 0)
			replaced = true;
		expect_text(bytes, replaced ? "new" : "old");
		free(bytes);
		if (!replaced) { /* nothing but the file is there */
			expect(unlink(yard.path), ==, 0);
			expect(rmdir(yard.directory), ==, 0);
			expect(mkdir(yard.directory, 0700), ==, 0);
			expect(rota_write_file(yard.path, "old", 3, 0600), ==, 0);
		}
	}
	expect(nth, ==, 8);                    /* open, open, write, sync, rename, sync; then none failed */
	rota__fault_arm(ROTA__FAULT_OP, 3, 1); /* a short write */
	expect(rota_write_file(yard.path, "whole", 5, 0600), ==, 0);
	expect_content(yard.path, "whole");
	yard_deinit(&yard);
}

UNIT_TEST(whole_file, whichever_step_fails)
{
	everywhere(fault_script);
}

/* What reaches the disk, and when: the calls to fsync(2), which this takes the place of. */
struct sync {
	bool directory;
	off_t size; /* of the file that is behind the descriptor */
	bool replaced;
};

static struct {
	const struct yard *yard;
	unsigned count;
	struct sync sync[4];
	char name[300]; /* of the file that was synced last */
} syncs;

int fsync(int fd)
{
	struct stat synced, named;

	if (syncs.yard != NULL && syncs.count < 4) {
		expect(fstat(fd, &synced), ==, 0);
		expect(stat(syncs.yard->path, &named), ==, 0);
		syncs.sync[syncs.count++] = (struct sync){
			.directory = S_ISDIR(synced.st_mode),
			.size = synced.st_size,
			.replaced = named.st_size == 8,
		};
	} else if (syncs.name[0] == '?') {
		char path[64];
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, syncs.name, sizeof(syncs.name) - 1);
		syncs.name[len > 0 ? len : 0] = '\0';
	}
	return (int)syscall(SYS_fsync, fd);
}

/* All of the file before its name, and then the name. */
static void order_script(const struct place *place)
{
	struct yard yard;

	(void)place;
	yard_init(&yard);
	expect(rota_write_file(yard.path, "old", 3, 0600), ==, 0);
	syncs.yard = &yard;
	syncs.count = 0;
	expect(rota_write_file(yard.path, "new text", 8, 0600), ==, 0);
	syncs.yard = NULL;
	expect(syncs.count, ==, 2);
	expect(syncs.sync[0].directory, ==, false);
	expect(syncs.sync[0].size, ==, 8);
	expect(syncs.sync[0].replaced, ==, false);
	expect(syncs.sync[1].directory, ==, true);
	expect(syncs.sync[1].replaced, ==, true);
	yard_deinit(&yard);
}

/* The steps are the same wherever they are made; here they are calls that can be looked into. */
UNIT_TEST(whole_file, is_on_disk_before_it_has_its_name)
{
	place_run(&place_kinds[0], 0, order_script, NULL);
	if (!unit_on_epoll())
		return;
	for (unsigned i = 1; i < PLACES_FOR_CALLS; i++)
		place_run(&place_kinds[i], 0, order_script, NULL);
}

/* The new file's first name is no less fit for the file system than the last one: characters are not cut apart. */
static void characters_script(const struct place *place)
{
	char directory[256], path[600], *name;
	size_t len;

	(void)place;
	plain_directory(directory);
	len = (size_t)snprintf(path, sizeof(path), "%s/", directory);
	for (int i = 0; i < 85; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "\u20ac");
	strcpy(syncs.name, "?");
	expect(rota_write_file(path, "x", 1, 0600), ==, 0);
	name = strrchr(syncs.name, '/');
	expect_pointer(name, !=, NULL);
	expect((strrchr(name, '.') - (name + 2)) % 3, ==, 0); /* bytes of each */
	expect(strrchr(name, '.') - name, >, 3);
	expect(unlink(path), ==, 0);
	expect(rmdir(directory), ==, 0);
}

UNIT_TEST(whole_file, is_first_named_in_whole_characters)
{
	place_run(&place_kinds[0], 0, characters_script, NULL);
}

static bool writes_nothing;

/* Takes the place of write(2). */
ssize_t write(int fd, const void *bytes, size_t len)
{
	return writes_nothing ? 0 : syscall(SYS_write, fd, bytes, len);
}

static void nothing_script(const struct place *place)
{
	struct yard yard;

	(void)place;
	yard_init(&yard);
	writes_nothing = true;
	int rc = rota_write_file(yard.path, "x", 1, 0600);
	writes_nothing = false;
	expect(rc, ==, -EIO);
	yard_deinit(&yard);
}

UNIT_TEST(whole_file, a_file_system_that_takes_nothing)
{
	place_run(&place_kinds[0], 0, nothing_script, NULL);
}

static int write_new(void *arg)
{
	return rota_write_file(arg, "new", 3, 0600);
}

/* Cancelled somewhere on its way. */
static void cancel_script(const struct place *place)
{
	const unsigned before = unit_own_descriptors();
	struct yard yard;
	int cancelled = 0;

	(void)place;
	yard_init(&yard);
	for (int i = 0; i < 60; i++) {
		rota_task *task;
		char *bytes;
		int status;

		expect(rota_write_file(yard.path, "old", 3, 0600), ==, 0);
		expect(rota_spawn(&task, write_new, yard.path), ==, 0);
		if (i % 12 != 0)
			rota_sleep(ROTA_US(i * 10));
		rota_cancel(task);
		expect(rota_join(task, &status), ==, 0);
		expect(rota_read_file(yard.path, 10, &bytes, NULL), ==, 0);
		if (status < 0)
			expect(status, ==, -ECANCELED);
		expect_text(bytes, status < 0 ? "old" : "new");
		cancelled += status < 0;
		free(bytes);
	}
	expect(cancelled, >, 0); /* those that were cancelled at once */
	expect(unit_own_descriptors(), ==, before);
	yard_deinit(&yard);
}

UNIT_TEST(whole_file, cancelled_on_the_way)
{
	in_fibers(cancel_script, 0);
}
