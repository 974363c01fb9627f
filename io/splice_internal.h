/* SPDX-License-Identifier: MIT */
#ifndef ROTA_IO_SPLICE_INTERNAL_H
#define ROTA_IO_SPLICE_INTERNAL_H

#include "splice.h"

/* As rota__op_goes_on: the splice is the next one of a copy that took down how often the two were closed when it began. */
void rota__splice_goes_on(struct rota_splice_op *op, uint16_t from_closes, uint16_t to_closes);

#endif
