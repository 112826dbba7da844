#include "siphash.h"

#include "common.h"
#include "wire.h"
#include "xxh64.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TAG_BYTE_OFFSET 32
#define HEADER_TAGGED_WORDS 4
#define LANES 8

/* As many vector registers as the machine needs for it; where it has none, the compiler makes single words of it. */
typedef uint64_t lanes __attribute__((vector_size(LANES * sizeof(uint64_t))));

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))
/* Of a state `v` of four words, whether of one frame or of several. */
#define ROUND(v)                                  \
  do {                                            \
    v[0] += v[1], v[2] += v[3];                   \
    v[1] = ROTATE(v[1], 13) ^ v[0];               \
    v[3] = ROTATE(v[3], 16) ^ v[2];               \
    v[0] = ROTATE(v[0], 32);                      \
    v[2] += v[1], v[0] += v[3];                   \
    v[1] = ROTATE(v[1], 17) ^ v[2];               \
    v[3] = ROTATE(v[3], 21) ^ v[0];               \
    v[2] = ROTATE(v[2], 32);                      \
  } while (0)
#define ABSORB(v, word) \
  do {                  \
    v[3] ^= (word);     \
    ROUND(v);           \
    ROUND(v);           \
    v[0] ^= (word);     \
  } while (0)
#define FINISH(v)                               \
  do {                                          \
    v[2] ^= 0xff;                               \
    for (int i = 0; i < 4; i++) ROUND(v);       \
    v[0] ^= v[1] ^ v[2] ^ v[3];                 \
  } while (0)

static void begin(uint64_t v[4], const struct sip_key *key) {
  v[0] = key->first ^ 0x736f6d6570736575;
  v[1] = key->second ^ 0x646f72616e646f6d;
  v[2] = key->first ^ 0x6c7967656e657261;
  v[3] = key->second ^ 0x7465646279746573;
}

/** The last word: what is left of the message, and in its highest byte the length of all of it. */
static uint64_t last_word(const uint8_t *rest, size_t rest_bytes, size_t message_bytes) {
  uint64_t word = 0;
  memcpy(&word, rest, rest_bytes);
  return word | (uint64_t)message_bytes << 56;
}

static uint64_t finish_with(uint64_t v[4], const uint8_t *at, size_t count, size_t before) {
  const uint8_t *rest = at + (count & ~(size_t)7);
  for (; at < rest; at += 8) ABSORB(v, load_u64(at));
  ABSORB(v, last_word(rest, count & 7, before + count));
  FINISH(v);
  return v[0];
}

uint64_t siphash(const struct sip_key *key, const uint8_t *bytes, size_t count) {
  uint64_t v[4];
  begin(v, key);
  return finish_with(v, bytes, count, 0);
}

uint64_t tag_of(const struct sip_key *key, const uint8_t *at) {
  uint64_t v[4];
  begin(v, key);
  ABSORB(v, key->counter);
  for (int i = 0; i < HEADER_TAGGED_WORDS; i++) ABSORB(v, load_u64(at + 8 * i));
  return finish_with(v, at + FRAME_HEADER_BYTES, load_u32(at + 12), 8 + 8 * HEADER_TAGGED_WORDS);
}

/* A function for each kind of vector registers, of which the loader takes the one that fits the machine. */
#if defined(__x86_64__) && defined(__GLIBC__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
static void tag_lanes(const struct sip_key *key, uint8_t *at, size_t frame_bytes, size_t payload_bytes) {
  lanes v[4], word;
  uint64_t start[4];
  begin(start, key);
  for (int i = 0; i < 4; i++) v[i] = (lanes){0} + start[i];
  for (int k = 0; k < LANES; k++) word[k] = key->counter + (uint64_t)k;
  ABSORB(v, word);
  size_t words = HEADER_TAGGED_WORDS + payload_bytes / 8;
  for (size_t i = 0; i < words; i++) {
    /* Behind the tagged words of the header stands the tag. */
    size_t offset = 8 * (i < HEADER_TAGGED_WORDS ? i : i + 1);
    for (int k = 0; k < LANES; k++) word[k] = load_u64(at + k * frame_bytes + offset);
    ABSORB(v, word);
  }
  for (int k = 0; k < LANES; k++) {
    const uint8_t *payload = at + k * frame_bytes + FRAME_HEADER_BYTES;
    word[k] = last_word(payload + (payload_bytes & ~(size_t)7), payload_bytes & 7,
                        8 + 8 * HEADER_TAGGED_WORDS + payload_bytes);
  }
  ABSORB(v, word);
  FINISH(v);
  for (int k = 0; k < LANES; k++) {
    uint64_t tag = v[0][k];
    memcpy(at + k * frame_bytes + TAG_BYTE_OFFSET, &tag, sizeof tag);
  }
}

void tag_frames(struct sip_key *key, uint8_t *at, size_t payload_bytes, size_t count) {
  size_t frame_bytes = (FRAME_HEADER_BYTES + payload_bytes + 7) & ~(size_t)7;
  for (; count >= LANES; count -= LANES, at += LANES * frame_bytes, key->counter += LANES) {
    tag_lanes(key, at, frame_bytes, payload_bytes);
  }
  for (; count > 0; count--, at += frame_bytes, key->counter++) {
    uint64_t tag = tag_of(key, at);
    memcpy(at + TAG_BYTE_OFFSET, &tag, sizeof tag);
  }
}
