#include "sha256.h"

#include "common.h"

#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

static uint32_t load_big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_big_endian(uint8_t *at, uint32_t word) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(word >> (24 - 8 * i));
}

static void compress(uint32_t state[8], const uint8_t *block) {
  uint32_t words[64], s[8];
  for (int i = 0; i < 16; i++) words[i] = load_big_endian(block + 4 * i);
  for (int i = 16; i < 64; i++) {
    uint32_t near = words[i - 15], far = words[i - 2];
    words[i] = words[i - 16] + words[i - 7] + (rotate(near, 7) ^ rotate(near, 18) ^ near >> 3) +
               (rotate(far, 17) ^ rotate(far, 19) ^ far >> 10);
  }
  memcpy(s, state, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                     ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + words[i];
    uint32_t second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += first;
    s[0] = first + second;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

void sha256_begin(struct sha256 *hash) {
  *hash = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                    0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *hash, const void *bytes, size_t count) {
  for (const uint8_t *at = bytes, *end = at + count; at < end; at++) {
    hash->block[hash->byte_count++ % SHA256_BLOCK_BYTES] = *at;
    if (hash->byte_count % SHA256_BLOCK_BYTES == 0) compress(hash->state, hash->block);
  }
}

void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES]) {
  static const uint8_t padding[SHA256_BLOCK_BYTES] = {0x80};
  uint64_t bit_count = hash->byte_count * 8;
  uint8_t length[8];
  store_big_endian(length, (uint32_t)(bit_count >> 32));
  store_big_endian(length + 4, (uint32_t)bit_count);
  size_t used = hash->byte_count % SHA256_BLOCK_BYTES;
  sha256_add(hash, padding, (used < 56 ? 56 : 120) - used);
  sha256_add(hash, length, sizeof length);
  for (int i = 0; i < 8; i++) store_big_endian(digest + 4 * i, hash->state[i]);
}

static void sha256_keyed(struct sha256 *hash, const uint8_t key[SHA256_BLOCK_BYTES], uint8_t pad) {
  uint8_t block[SHA256_BLOCK_BYTES];
  for (int i = 0; i < SHA256_BLOCK_BYTES; i++) block[i] = key[i] ^ pad;
  sha256_begin(hash);
  sha256_add(hash, block, sizeof block);
}

void hmac_sha256(const void *secret, size_t secret_bytes, const void *first, size_t first_bytes,
                 const void *second, size_t second_bytes, uint8_t digest[SHA256_BYTES]) {
  uint8_t key[SHA256_BLOCK_BYTES] = {0};
  struct sha256 hash;
  if (secret_bytes > sizeof key) {
    sha256_begin(&hash);
    sha256_add(&hash, secret, secret_bytes);
    sha256_end(&hash, key);
  } else {
    memcpy(key, secret, secret_bytes);
  }
  sha256_keyed(&hash, key, 0x36);
  sha256_add(&hash, first, first_bytes);
  sha256_add(&hash, second, second_bytes);
  sha256_end(&hash, digest);
  sha256_keyed(&hash, key, 0x5c);
  sha256_add(&hash, digest, SHA256_BYTES);
  sha256_end(&hash, digest);
}

void hkdf_sha256(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const char *info,
                 void *out, size_t count) {
  uint8_t extracted[SHA256_BYTES], expanded[SHA256_BYTES];
  if (count > sizeof expanded) die("HKDF is asked for %zu bytes; it has %d", count, SHA256_BYTES);
  hmac_sha256(salt, salt_bytes, secret, secret_bytes, NULL, 0, extracted);
  hmac_sha256(extracted, sizeof extracted, info, strlen(info), "\1", 1, expanded);
  memcpy(out, expanded, count);
}
