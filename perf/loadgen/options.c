#include "common.h"

#include <stdlib.h>
#include <string.h>

/*
 * What is under way then stays in the caches of both CPUs: against the relay, half as many messages again
 * for each second of the generator's CPU as with the kernel's own choice, which grows to 4 MiB.
 */
#define SEND_BUFFER_BYTES (256 * 1024)

enum option_type { TEXT, NUMBER_INT, NUMBER_LONG, NUMBER_SIZE, NUMBER_DOUBLE, FLAG, FAULT };

struct option {
  const char *name;
  enum option_type type;
  size_t offset;
};

#define AT(field) offsetof(struct options, field)

static const struct option known[] = {
    {"--protocol", TEXT, AT(protocol)},
    {"--wire", TEXT, AT(wire)},
    {"--subject", TEXT, AT(subject)},
    {"--key-id", TEXT, AT(key_id)},
    {"--secret-file", TEXT, AT(secret_file)},
    {"--port", NUMBER_INT, AT(port)},
    {"--cpu", NUMBER_INT, AT(cpu)},
    {"--size", NUMBER_SIZE, AT(payload_bytes)},
    {"--seconds", NUMBER_DOUBLE, AT(seconds)},
    {"--warmup", NUMBER_DOUBLE, AT(warmup_seconds)},
    {"--patience", NUMBER_DOUBLE, AT(patience_seconds)},
    {"--send-buffer", NUMBER_SIZE, AT(send_buffer_bytes)},
    {"--window", NUMBER_SIZE, AT(window_bytes)},
    {"--streams", NUMBER_INT, AT(streams)},
    {"--publishers", NUMBER_INT, AT(publishers)},
    {"--subscribers", NUMBER_INT, AT(subscribers)},
    {"--connections", NUMBER_LONG, AT(connections)},
    {"--outstanding", NUMBER_LONG, AT(outstanding)},
    {"--total", NUMBER_LONG, AT(total)},
    {"--rate", NUMBER_DOUBLE, AT(rate)},
    {"--hello", FLAG, AT(hello)},
    {"--verify", FLAG, AT(verify)},
    {"--fault", FAULT, 0},
};

static double number(const char *name, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != 0 || value < 0) die("%s wants a number, not \"%s\"", name, text);
  return value;
}

/** `drop:K`, `flip:K` (a bit of the payload), `flip-header:K`, `swap:K` (with the one after it). */
static void read_fault(struct options *options, const char *text) {
  const char *colon = strchr(text, ':');
  size_t name_bytes = colon ? (size_t)(colon - text) : 0;
  static const struct {
    const char *name;
    enum fault_kind kind;
  } kinds[] = {
      {"drop", FAULT_DROP}, {"flip", FAULT_FLIP}, {"flip-header", FAULT_FLIP_HEADER}, {"swap", FAULT_SWAP}};
  for (size_t i = 0; colon && i < sizeof kinds / sizeof *kinds; i++) {
    if (strlen(kinds[i].name) != name_bytes || strncmp(kinds[i].name, text, name_bytes) != 0) continue;
    options->fault = kinds[i].kind;
    options->fault_message = (uint64_t)number("--fault", colon + 1);
    return;
  }
  die("--fault wants drop:K, flip:K, flip-header:K or swap:K, not \"%s\"", text);
}

static void set_option(struct options *options, const struct option *option, const char *text) {
  void *at = (char *)options + option->offset;
  switch (option->type) {
    case TEXT: *(const char **)at = text; break;
    case NUMBER_INT: *(int *)at = (int)number(option->name, text); break;
    case NUMBER_LONG: *(long *)at = (long)number(option->name, text); break;
    case NUMBER_SIZE: *(size_t *)at = (size_t)number(option->name, text); break;
    case NUMBER_DOUBLE: *(double *)at = number(option->name, text); break;
    case FLAG: *(bool *)at = true; break;
    case FAULT: read_fault(options, text); break;
  }
}

void read_options(struct options *options, int argc, char **argv) {
  *options = (struct options){.mode = argv[1],
                              .protocol = "ms",
                              .wire = "ms",
                              .subject = "bench",
                              .cpu = -1,
                              .payload_bytes = 16,
                              .seconds = 2,
                              .warmup_seconds = 0.5,
                              .patience_seconds = 2,
                              .send_buffer_bytes = SEND_BUFFER_BYTES,
                              .streams = 1,
                              .publishers = 1,
                              .subscribers = 1,
                              .connections = 100,
                              .outstanding = 1,
                              .total = 1000,
                              .rate = 10000};
  for (int i = 2; i < argc; i++) {
    const struct option *option = NULL;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
      if (strcmp(known[k].name, argv[i]) == 0) option = &known[k];
    }
    if (!option) die("unknown option \"%s\"", argv[i]);
    if (option->type != FLAG && i + 1 >= argc) die("%s wants a value", argv[i]);
    if (option->offset == AT(rate)) options->rate_given = true;
    set_option(options, option, option->type == FLAG ? NULL : argv[++i]);
  }
}
