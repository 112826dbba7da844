#include "wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/** A secret is the file's bytes less one trailing newline. */
static void read_credential(struct session *session, const struct options *options) {
  if (session->relayed || session->wire != &wire_ms) die("only the broker itself knows --key-id");
  if (!options->secret_file) die("--key-id wants a --secret-file");
  FILE *file = fopen(options->secret_file, "rb");
  if (!file) die("cannot read %s: %s", options->secret_file, strerror(errno));
  session->secret_bytes = fread(session->secret, 1, sizeof session->secret, file);
  if (!feof(file)) die("%s is too long for a secret", options->secret_file);
  fclose(file);
  if (session->secret_bytes > 0 && session->secret[session->secret_bytes - 1] == '\n') session->secret_bytes--;
  session->key_id = options->key_id;
}

struct session new_session_on(const struct options *options, const char *subject) {
  static const struct wire *const wires[] = {&wire_ms, &wire_nats, &wire_redis, &wire_mqtt};
  struct session session = {
      .subject = subject, .hello = options->hello, .from = "new", .sequence_next = 1};
  session.relayed = strcmp(options->protocol, "relay") == 0;
  const char *name = session.relayed ? options->wire : options->protocol;
  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) {
    if (strcmp(name, wires[i]->name) == 0) session.wire = wires[i];
  }
  if (!session.wire) die("unknown protocol \"%s\"", name);
  if (options->key_id) read_credential(&session, options);
  if (strlen(subject) > SUBJECT_BYTES_MAX) die("a subject has at most %d bytes", SUBJECT_BYTES_MAX);
  return session;
}

struct session new_session(const struct options *options) {
  return new_session_on(options, options->subject);
}

void receive_line(int fd, char *line, size_t room) {
  size_t bytes = 0;
  do {
    if (bytes + 1 >= room) die("the handshake's answer is too long a line");
    receive_all(fd, line + bytes++, 1);
  } while (line[bytes - 1] != '\n');
  line[bytes] = 0;
}

void fill_payload(uint8_t *at, size_t payload_bytes, uint32_t index) {
  uint32_t state = index * 2654435761u + 1;
  for (size_t i = 0; i < payload_bytes; i++) {
    state = state * 1664525u + 1013904223u;
    at[i] = (uint8_t)(state >> 24);
  }
  if (payload_bytes >= INDEX_BYTES) memcpy(at, &index, INDEX_BYTES);
}

bool is_filled(const uint8_t *at, size_t payload_bytes, uint32_t index, size_t stamp_byte_offset) {
  static uint8_t wanted[PAYLOAD_BYTES_MAX];
  size_t behind = stamp_byte_offset + sizeof(uint64_t);
  fill_payload(wanted, payload_bytes, index);
  return memcmp(at, wanted, stamp_byte_offset) == 0 &&
         memcmp(at + behind, wanted + behind, payload_bytes - behind) == 0;
}

struct receiver *new_receiver(const struct session *session, int fd, size_t capacity) {
  struct receiver *receiver = allocate(sizeof *receiver);
  receiver->wire = session->wire;
  receiver->fd = fd;
  receiver->buffer = allocate(capacity);
  receiver->capacity = capacity;
  receiver->sequence_last = UINT64_MAX;
  receiver->index_last = UINT32_MAX;
  receiver->check_mask = CHECK_ONE_IN - 1;
  receiver->sending = session->sending;
  receiver->receiving = session->receiving;
  return receiver;
}

long receive_some(struct receiver *receiver) {
  size_t room = receiver->capacity - receiver->filled;
  ssize_t received = recv(receiver->fd, receiver->buffer + receiver->filled, room, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (received <= 0) {
    set_error(receiver, "the peer closed the connection (%s)", received ? strerror(errno) : "end of stream");
    return -1;
  }
  receiver->filled += (size_t)received;
  long used = receiver->wire->consume(receiver, receiver->buffer, receiver->filled);
  if (used < 0) return -1;
  receiver->filled -= (size_t)used;
  memmove(receiver->buffer, receiver->buffer + used, receiver->filled);
  return received;
}

void flush_outbox(struct receiver *receiver, int fd) {
  if (receiver->outbox_bytes == 0) return;
  if (receiver->sending.is_set) receiver->wire->tag_outbox(receiver);
  ssize_t sent = send(fd, receiver->outbox, receiver->outbox_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent <= 0) return;
  receiver->outbox_bytes -= (size_t)sent;
  receiver->outbox_tagged -= receiver->outbox_tagged < (size_t)sent ? receiver->outbox_tagged : (size_t)sent;
  memmove(receiver->outbox, receiver->outbox + sent, receiver->outbox_bytes);
}

uint64_t count_disorder(struct receiver *receiver, uint64_t sequence) {
  uint64_t ahead = sequence - receiver->sequence;
  bool cyclic = receiver->sequence_last != UINT64_MAX;
  if (cyclic && sequence < receiver->sequence) ahead += receiver->sequence_last;
  bool passed = cyclic ? ahead > receiver->sequence_last / 2 : sequence < receiver->sequence;
  if (passed) {
    receiver->reordered++;
    return receiver->sequence;
  }
  receiver->gaps += ahead;
  return sequence == receiver->sequence_last ? 1 : sequence + 1;
}

void count_misplaced(struct receiver *receiver, uint32_t index) {
  receiver->misplaced++;
  receiver->index = index >= receiver->index_last ? 0 : index + 1;
}

void set_error(struct receiver *receiver, const char *format, ...) {
  if (receiver->error[0]) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(receiver->error, sizeof receiver->error, format, arguments);
  va_end(arguments);
  /* It is printed as JSON text. */
  for (char *at = receiver->error; *at; at++) {
    if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20) *at = '\'';
  }
}
