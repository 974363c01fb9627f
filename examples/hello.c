/* SPDX-License-Identifier: MIT */
/* The smallest program: an async main, and the one line that runs it as a task. */
#include <stdio.h>

#include <rota.h>

static int async_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("Hello from %s\n", rota_task_id() ? "a task" : "a plain thread");
	return fflush(stdout) != 0; /* nothing was said if it could not be printed */
}

int main(int argc, char **argv)
{
	return rota_run(async_main, argc, argv) != 0;
}
