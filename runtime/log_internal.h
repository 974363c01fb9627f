/* SPDX-License-Identifier: MIT */
/* Lines on standard error: configuration errors, misuse, reports. */
#ifndef ROTA_RUNTIME_LOG_INTERNAL_H
#define ROTA_RUNTIME_LOG_INTERNAL_H

/* Prints "rota: ..." and a newline in one write. */
void rota__log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports an error of the program's: prints the line; debug builds abort. */
void rota__misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
