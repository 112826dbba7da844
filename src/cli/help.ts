/** Help texts; the flags of `serve` are those of the configuration table. */
import { TABLE, type TableRow } from '../config/table.js';

export const GENERAL_HELP = `memorystreamer: an in-memory message-streaming broker

Usage:
  memorystreamer [serve] [FLAGS]   run the broker
  memorystreamer pub …             publish to a stream
  memorystreamer sub …             subscribe to streams
  memorystreamer ping              ask whether the broker answers, and how soon
  memorystreamer COMMAND --help    flags and examples of a command
  memorystreamer --version

Examples:
  memorystreamer                   listen on 127.0.0.1:7878
  memorystreamer --port 0          listen on a free port, which the ready line names
  memorystreamer sub 'orders.>'    print what is published under "orders."
  echo hello | memorystreamer pub orders.new

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

Examples:
  memorystreamer
  memorystreamer --host 0.0.0.0 --port 7878 --shards 4
  memorystreamer --config /etc/memorystreamer.json --log-level debug
  MEMORYSTREAMER_MEMORY_ARENA=2GiB memorystreamer

Flags, over the environment, over the file, over the defaults:
  --config FILE
      A JSON file; a key "listen.port" stands in it as {"listen": {"port": 7878}}.
${TABLE.map(flagHelp).join('')}  --help
`;
}

function flagHelp(row: TableRow): string {
  const name = row.placeholder === '' ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`;
  const facts = `Default ${row.show(row.standard)}; ${row.allowed}. Key ${row.key}, environment ${row.env}.`;
  return [`  ${name}`, ...wrapped(row.doc), ...wrapped(facts), ''].join('\n');
}

/** Lines of at most 100 columns, indented by 6. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > 94) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line].map((each) => `      ${each}`);
}
