/*
 * SipHash-2-4 (www.aumasson.jp/siphash/siphash.pdf) of frames, for little-endian machines. It shares no code with the
 * broker; test/perf checks it against the protocol's vectors.
 */
#ifndef LOADGEN_SIPHASH_H
#define LOADGEN_SIPHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One direction of a connection: its key, and the counter of the frame that is next. */
struct sip_key {
  uint64_t first, second;
  uint64_t counter;
  bool is_set; /* else the frames of that direction bear checks */
};

uint64_t siphash(const struct sip_key *key, const uint8_t *bytes, size_t count);

/** The tag that is due to the frame at `at`, whose counter is the key's. */
uint64_t tag_of(const struct sip_key *key, const uint8_t *at);

/** Tags `count` frames of one size, side by side, and counts them. Several at a time: one alone waits for its own rounds. */
void tag_frames(struct sip_key *key, uint8_t *at, size_t payload_bytes, size_t count);

#endif
