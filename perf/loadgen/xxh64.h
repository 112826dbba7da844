/*
 * XXH64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), for little-endian machines. It
 * shares no code with the broker, so that a mistake there is not repeated here; test/perf checks it
 * against the protocol's vectors.
 */
#ifndef LOADGEN_XXH64_H
#define LOADGEN_XXH64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XXH_P1 0x9E3779B185EBCA87ull
#define XXH_P2 0xC2B2AE3D27D4EB4Full
#define XXH_P3 0x165667B19E3779F9ull
#define XXH_P4 0x85EBCA77C2B2AE63ull
#define XXH_P5 0x27D4EB2F165667C5ull

static inline uint64_t load_u64(const void *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline uint32_t load_u32(const void *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static inline uint64_t xxh_rotate(uint64_t value, int bits) {
  return (value << bits) | (value >> (64 - bits));
}

static inline uint64_t xxh_round(uint64_t accumulator, uint64_t lane) {
  return xxh_rotate(accumulator + lane * XXH_P2, 31) * XXH_P1;
}

static inline uint64_t xxh64(const void *bytes, size_t count) {
  const uint8_t *at = bytes, *end = at + count;
  uint64_t hash = XXH_P5;
  if (count >= 32) {
    uint64_t lane[4] = {XXH_P1 + XXH_P2, XXH_P2, 0, 0 - XXH_P1};
    for (; end - at >= 32; at += 32) {
      for (int i = 0; i < 4; i++) lane[i] = xxh_round(lane[i], load_u64(at + 8 * i));
    }
    hash = xxh_rotate(lane[0], 1) + xxh_rotate(lane[1], 7) + xxh_rotate(lane[2], 12) +
           xxh_rotate(lane[3], 18);
    for (int i = 0; i < 4; i++) hash = (hash ^ xxh_round(0, lane[i])) * XXH_P1 + XXH_P4;
  }
  hash += count;
  for (; end - at >= 8; at += 8) {
    hash = xxh_rotate(hash ^ xxh_round(0, load_u64(at)), 27) * XXH_P1 + XXH_P4;
  }
  if (end - at >= 4) {
    hash = xxh_rotate(hash ^ load_u32(at) * XXH_P1, 23) * XXH_P2 + XXH_P3;
    at += 4;
  }
  for (; at < end; at++) hash = xxh_rotate(hash ^ *at * XXH_P5, 11) * XXH_P1;
  hash = (hash ^ (hash >> 33)) * XXH_P2;
  hash = (hash ^ (hash >> 29)) * XXH_P3;
  return hash ^ (hash >> 32);
}

#endif
