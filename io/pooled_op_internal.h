/* SPDX-License-Identifier: MIT */
/* Operations that rings cannot carry, or not everywhere. */
#ifndef ROTA_IO_POOLED_OP_INTERNAL_H
#define ROTA_IO_POOLED_OP_INTERNAL_H

#include "file.h"
#include "op_internal.h"

/* `op->op_` was filled in: the future of `op` carries it out. */
void rota__pooled_op_init(struct rota_pooled_op *op);

#endif
