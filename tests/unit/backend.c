/* SPDX-License-Identifier: MIT */
/* Which back end a runtime takes, and what it says about it. tests/confined.c runs this where io_uring is forbidden. */
#define _GNU_SOURCE
#include "../../runtime/sys_internal.h"
#include "places.h"

static bool forbidden(void)
{
	return getenv("ROTA_TEST_ON") != NULL;
}

static int start(enum rota_backend wanted, enum rota_backend *ret_got)
{
	const struct rota_config config = { .workers = 2, .backend = wanted };
	rota_runtime *rt = NULL;
	int rc;

	unsetenv("ROTA_BACKEND"); /* the test says which */
	rc = rota_runtime_new(&rt, &config);
	if (rc == 0) {
		*ret_got = rota_runtime_backend(rt);
		place_runtime_free(rt);
	}
	return rc;
}

UNIT_TEST(backend, what_is_asked_for)
{
	struct unit_capture capture;
	enum rota_backend got = ROTA_BACKEND_AUTO;

	unit_capture_begin(&capture);
	expect(start(ROTA_BACKEND_EPOLL, &got), ==, 0);
	expect(unit_lines(unit_capture_end(&capture)), ==, 0);
	expect(got, ==, ROTA_BACKEND_EPOLL);
	unit_capture_begin(&capture);
	expect(start(ROTA_BACKEND_IO_URING, &got), ==, forbidden() ? -ENOTSUP : 0);
	expect(unit_lines(unit_capture_end(&capture)), ==, forbidden() ? 1 : 0);
	expect(got, ==, forbidden() ? ROTA_BACKEND_EPOLL : ROTA_BACKEND_IO_URING);
}

UNIT_TEST(backend, what_works)
{
	struct unit_capture capture;
	enum rota_backend got = ROTA_BACKEND_AUTO;

	unit_capture_begin(&capture);
	for (int i = 0; i < 3; i++)
		expect(start(ROTA_BACKEND_AUTO, &got), ==, 0);
	unit_capture_end(&capture);
	expect(got, ==, forbidden() ? ROTA_BACKEND_EPOLL : ROTA_BACKEND_IO_URING);
	expect(unit_lines(capture.text), ==, forbidden() ? 1 : 0); /* once, and why */
	if (forbidden())
		expect_pointer(strstr(capture.text, "epoll, since io_uring"), !=, NULL);
}

/* Under valgrind, which is known by what it has loaded before everything else. Who names a back end is obeyed. */
UNIT_TEST(backend, what_valgrind_needs)
{
	struct unit_capture capture;
	enum rota_backend got = ROTA_BACKEND_AUTO;

	setenv("LD_PRELOAD", "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so:libother.so", 1);
	unit_capture_begin(&capture);
	for (int i = 0; i < 3; i++) {
		expect(start(ROTA_BACKEND_AUTO, &got), ==, 0);
		expect(got, ==, ROTA_BACKEND_EPOLL);
	}
	expect(unit_lines(unit_capture_end(&capture)), ==, 1);
	expect_pointer(strstr(capture.text, "valgrind"), !=, NULL);
	if (forbidden())
		return;
	expect(start(ROTA_BACKEND_IO_URING, &got), ==, 0);
	expect(got, ==, ROTA_BACKEND_IO_URING);
}

/* The trial fails: for good, or for now. */
UNIT_TEST(backend, what_fails)
{
	static const int refused[] = { -EPERM, -ENOSYS, -EINVAL };
	struct unit_capture capture;
	enum rota_backend got;

	unit_capture_begin(&capture);
	for (int i = 0; i < 3; i++) {
		got = ROTA_BACKEND_AUTO;
		rota__fault_arm(ROTA__FAULT_RING, 1, refused[i]);
		expect(start(ROTA_BACKEND_AUTO, &got), ==, 0);
		expect(got, ==, ROTA_BACKEND_EPOLL);
		rota__fault_arm(ROTA__FAULT_RING, 1, refused[i]);
		expect(start(ROTA_BACKEND_IO_URING, &got), ==, -ENOTSUP);
	}
	expect(unit_lines(unit_capture_end(&capture)), ==, 4);
	rota__fault_arm(ROTA__FAULT_RING, 1, -EMFILE);
	expect(start(ROTA_BACKEND_AUTO, &got), ==, -EMFILE);
	rota__fault_arm(ROTA__FAULT_RING, 1, -EMFILE);
	expect(start(ROTA_BACKEND_IO_URING, &got), ==, -EMFILE);
	rota__fault_arm(ROTA__FAULT_EPOLL, 1, -EMFILE);
	expect(start(ROTA_BACKEND_EPOLL, &got), ==, -EMFILE);
	rota__fault_arm(ROTA__FAULT_EPOLL, 0, 0);
}
