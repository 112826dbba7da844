/** `memorystreamer frame`: frames for people who write a client, or look for what is wrong with one. */
import { nearest } from '../config/nearest.js';
import { usageError } from './client-options.js';
import { EXIT_DONE } from './exit-codes.js';

const HELP = `memorystreamer frame: look at frames, and make them

Usage:
  memorystreamer frame decode [FLAGS] [FILE]
  memorystreamer frame encode [FLAGS] [FILE]

Both read FILE, or standard input. No broker is needed.

decode prints a line for each frame. Where a check fails it says which, at which byte, what was
expected and what was found, and ends with code 1. What begins with "MS" is a raw capture of one
direction of a connection; hex may hold white space, and remarks from "#" to the line's end.

encode makes frames of JSON objects, and prints each as a line of hex. An object has "type" (a name
or a number), and may have "flags" (a number, or names in a list), "code", "stream", "sequence",
"timestamp", and one of "payload" (hex), "text" and "json". It takes what decode --json prints.

Examples:
  echo '{"type":"OPEN","sequence":1,"json":{"subject":"a"}}' | memorystreamer frame encode
  memorystreamer frame encode --raw frames.json | nc -q 1 127.0.0.1 7878 > answers.bin
  memorystreamer frame decode --from server answers.bin
  memorystreamer frame decode --fields frames.hex

Flags of decode:
  --hex          the input is hex, whatever it begins with
  --raw          the input is a raw capture, whatever it begins with
  --json         a line of JSON for each frame
  --fields       every field on a line of its own, with its bytes
  --from SIDE    client or server: refuse the types that this side never sends

Flags of encode:
  --hex          a line of hex for each frame (the default)
  --raw          the bytes themselves

Flags of both:
  --key-file F   the key of the direction, 16 bytes or 32 hex digits: verifies tags, or makes them
  --counter N    the counter of the first keyed frame (default 0)
  --help
`;

type Command = (argv: readonly string[]) => Promise<number>;

const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['decode', async (): Promise<Command> => (await import('./frame-decode.js')).runDecode],
  ['encode', async (): Promise<Command> => (await import('./frame-encode.js')).runEncode],
]);

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runFrame(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  if (argv.includes('--help')) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  const load = COMMANDS.get(name);
  if (load === undefined) {
    const near = nearest(name, [...COMMANDS.keys()]);
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    throw usageError(`frame takes decode or encode, not ${JSON.stringify(name)}${hint}`);
  }
  return (await load())(rest);
}
