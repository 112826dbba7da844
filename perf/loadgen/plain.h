/*
 * Messages that are a head, a payload and a tail, where head and tail are the same bytes for every message of a
 * run: PUB and MSG of NATS, PUBLISH of RESP and of MQTT. They bear no number and no check but what the publisher
 * put into the payload.
 */
#ifndef LOADGEN_PLAIN_H
#define LOADGEN_PLAIN_H

#include "wire.h"

/**
 * Walks whole messages. What is not the awaited head goes to `judge_other`, which answers the bytes of what
 * stands there, 0 when more are needed, and -1 with `error` set when it makes no sense.
 */
long plain_consume(struct receiver *receiver, const uint8_t *bytes, size_t count,
                   long (*judge_other)(struct receiver *receiver, const uint8_t *at, size_t count));

/** Fills in sizes for `head` and `tail` as they stand in the receiver already. */
void plain_expect(struct receiver *receiver, size_t payload_bytes);

#endif
