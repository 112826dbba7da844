/** Help texts; the flags of `serve` are those of the configuration table. */
import { wrapped } from '../config/print.js';
import { TABLE, type TableRow } from '../config/table.js';

export const GENERAL_HELP = `memorystreamer: an in-memory message-streaming broker

Usage:
  memorystreamer [serve] [FLAGS]   run the broker
  memorystreamer pub …             publish to a stream
  memorystreamer sub …             subscribe to streams
  memorystreamer ping              ask whether the broker answers, and how soon
  memorystreamer bench …           measure a broker: throughput, latency, round trips
  memorystreamer config …          check, print and explain configurations
  memorystreamer frame …           look at frames, and make them
  memorystreamer COMMAND --help    flags and examples of a command
  memorystreamer --version

Examples:
  memorystreamer                   listen on 127.0.0.1:7878
  memorystreamer --port 0          listen on a free port, which the ready line names
  memorystreamer sub 'orders.>'    print what is published under "orders."
  echo hello | memorystreamer pub orders.new
  memorystreamer config check broker.yaml

Exit codes:
  0 done   1 fault   2 wrong command line   3 configuration refused
  4 port taken, or broker not reachable   5 refused by the broker
`;

export function serveHelp(): string {
  return `memorystreamer serve: run the broker

Usage:
  memorystreamer [serve] [FLAGS]

Once connections are accepted, one line is printed on standard output:
  memorystreamer ready url=ms://127.0.0.1:7878 shards=2 pid=4711
Logs are JSON lines on standard error. SIGTERM and SIGINT end it gracefully, a second one at once.
SIGHUP reads the configuration again, SIGUSR2 logs histograms of what the shards do.

Examples:
  memorystreamer
  memorystreamer --host 0.0.0.0 --listen-insecure --shards 4
  memorystreamer --config /etc/memorystreamer.yaml --log-level debug
  MEMORYSTREAMER_MEMORY_ARENA=2GiB memorystreamer

Flags, over the environment, over files, over the defaults:
  --config FILE
      A file of JSON, YAML or TOML (.json, .yaml, .yml, .toml); a key "listen.port" stands in it as
      {"listen": {"port": 7878}}. May stand often: later files count more.
  --config-dir FOLDER
      All such files of a folder, by name, over those of --config.
  --profile NAME
      A set of values that the files name under "profiles", under all else that they say.
${TABLE.map(flagHelp).join('')}  --help
`;
}

function flagHelp(row: TableRow): string {
  const name = row.placeholder === '' ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`;
  const facts = `Default ${row.show(row.standard)}; ${row.allowed}. Key ${row.key}, environment ${row.env}.`;
  const lines = [row.doc, facts].flatMap((text) => wrapped(text, 94));
  return [`  ${name}`, ...lines.map((line) => `      ${line}`), ''].join('\n');
}

export const CONFIG_HELP = `memorystreamer config: look at configurations, without a broker

Usage:
  memorystreamer config check FILE… [FLAGS]   tell all that is wrong, on standard error; exit 0 or 3
  memorystreamer config print [FLAGS]         effective values, as YAML, each with where it comes from
  memorystreamer config diff A B [FLAGS]      what would change from file A to file B, hot or by restart
  memorystreamer config explain [KEY]         what a key, or every key of a group, is for
  memorystreamer config init                  a file to begin with, all keys in comments
  memorystreamer config schema                the JSON Schema, for editors
  memorystreamer config machine               this machine as --machine takes it

Flags of check, print and diff are those of serve, with --config, --config-dir and --profile; check and
print also look at the environment, as serve does. And:
  --machine FILE
      Checks against that machine instead of this one.
  --json
      With print: JSON. What is printed can be read back, and gives the same configuration.

Examples:
  memorystreamer config init > broker.yaml
  memorystreamer config check broker.yaml --profile small
  memorystreamer config print --config broker.yaml --config-dir conf.d
  memorystreamer config diff old.yaml new.yaml
  memorystreamer config explain streams.default
`;
