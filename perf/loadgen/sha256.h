/*
 * SHA-256 (FIPS 180-4), HMAC (RFC 2104) and HKDF (RFC 5869) on it, for the few dozen bytes of a handshake. They share
 * no code with the broker; test/perf checks them against the protocol's vectors.
 */
#ifndef LOADGEN_SHA256_H
#define LOADGEN_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_BLOCK_BYTES 64

struct sha256 {
  uint32_t state[8];
  uint64_t byte_count;
  uint8_t block[SHA256_BLOCK_BYTES];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t count);
void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES]);

/** HMAC of the two parts, one behind the other. */
void hmac_sha256(const void *secret, size_t secret_bytes, const void *first, size_t first_bytes,
                 const void *second, size_t second_bytes, uint8_t digest[SHA256_BYTES]);

/** The first `count` bytes, at most 32, of HKDF. */
void hkdf_sha256(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const char *info,
                 void *out, size_t count);

#endif
