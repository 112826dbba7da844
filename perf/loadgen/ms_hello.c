/* HELLO, and hmac-sha256 in both directions (docs/PROTOCOL.md, section 4); every frame behind it is keyed. */
#include "ms_frame.h"
#include "sha256.h"
#include "xxh64.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define NONCE_BYTES 32
#define BASE64_BYTES_MAX 64

const char hello_text[] = "{\"versions\":[1],\"client\":\"loadgen/1\",\"integrity\":[\"xxh64\"]}";

static void base64(const uint8_t *bytes, size_t count, char text[BASE64_BYTES_MAX]) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < count; i += 3) {
    size_t here = count - i < 3 ? count - i : 3;
    uint32_t group = 0;
    for (size_t k = 0; k < 3; k++) group = group << 8 | (k < here ? bytes[i + k] : 0);
    for (size_t k = 0; k < 4; k++) *text++ = k <= here ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  *text = 0;
}

static void hash_text(const char *text, uint8_t digest[SHA256_BYTES]) {
  struct sha256 hash;
  sha256_begin(&hash);
  sha256_add(&hash, text, strlen(text));
  sha256_end(&hash, digest);
}

static void prove(const struct handshake *handshake, const struct session *session, const char *side,
                  char text[BASE64_BYTES_MAX]) {
  char label[32];
  uint8_t proof[SHA256_BYTES];
  int label_bytes = snprintf(label, sizeof label, "memorystreamer/1 %s", side) + 1;
  hmac_sha256(session->secret, session->secret_bytes, label, (size_t)label_bytes, handshake->transcript,
              sizeof handshake->transcript, proof);
  base64(proof, sizeof proof, text);
}

void handshake_begin(struct handshake *handshake, const struct session *session) {
  uint8_t nonce[NONCE_BYTES];
  char encoded[BASE64_BYTES_MAX];
  if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce) die("no random bytes");
  base64(nonce, sizeof nonce, encoded);
  snprintf(handshake->text, sizeof handshake->text,
           "{\"versions\":[1],\"client\":\"loadgen/1\",\"integrity\":[\"siphash-2-4\"],"
           "\"auth\":{\"method\":\"hmac-sha256\",\"keyId\":\"%s\",\"nonce\":\"%s\"}}",
           session->key_id, encoded);
  hash_text(handshake->text, handshake->transcript);
}

void handshake_challenged(struct handshake *handshake, const struct session *session, const char *challenge) {
  char encoded[BASE64_BYTES_MAX];
  if (!strstr(challenge, "\"integrity\":\"siphash-2-4\"")) die("CHALLENGE offers no keyed frames: %s", challenge);
  hash_text(challenge, handshake->transcript + SHA256_BYTES);
  prove(handshake, session, "client", encoded);
  snprintf(handshake->text, sizeof handshake->text, "{\"proof\":\"%s\"}", encoded);
}

bool handshake_welcomed(const struct handshake *handshake, const struct session *session, const char *welcome) {
  char encoded[BASE64_BYTES_MAX], wanted[BASE64_BYTES_MAX + 16];
  prove(handshake, session, "server", encoded);
  snprintf(wanted, sizeof wanted, "\"proof\":\"%s\"", encoded);
  return strstr(welcome, wanted) != NULL;
}

static struct sip_key direction_key(const struct handshake *handshake, const struct session *session,
                                    const char *direction) {
  char info[48];
  uint8_t key[16];
  snprintf(info, sizeof info, "memorystreamer/1 %s", direction);
  hkdf_sha256(session->secret, session->secret_bytes, handshake->transcript, sizeof handshake->transcript, info,
              key, sizeof key);
  return (struct sip_key){load_u64(key), load_u64(key + 8), 0, true};
}

static void authenticate(struct session *session, int fd, uint8_t *at) {
  struct handshake handshake;
  handshake_begin(&handshake, session);
  const char *answer =
      request(session, fd, at, TYPE_HELLO, HELLO_REQUEST, handshake.text, TYPE_CHALLENGE, NULL);
  handshake_challenged(&handshake, session, answer);
  answer = request(session, fd, at, TYPE_PROOF, PROOF_REQUEST, handshake.text, TYPE_WELCOME, NULL);
  if (!handshake_welcomed(&handshake, session, answer)) die("the peer does not know the secret");
  session->sending = direction_key(&handshake, session, "client-to-server");
  session->receiving = direction_key(&handshake, session, "server-to-client");
}

void say_hello(struct session *session, int fd, uint8_t *at) {
  session->sending = session->receiving = (struct sip_key){0};
  if (session->key_id) {
    authenticate(session, fd, at);
  } else if (session->hello) {
    request(session, fd, at, TYPE_HELLO, HELLO_REQUEST, hello_text, TYPE_WELCOME, NULL);
  }
}
