// A version 2 of the protocol for tests alone: version 1, and one frame type more. A client asks by HOW_FAR (0x30), with a stream's
// id, which sequence that stream's next frame gets, and is answered by the same type with a u64. What the sources
// have to say differently for it stands here; the package knows nothing of it.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Changes of the kernel's sources. */
export const secondVersion = [
  {
    file: 'src/frame/layout.ts',
    from: 'PROTOCOL_VERSION_NEWEST = 1',
    to: 'PROTOCOL_VERSION_NEWEST = 2',
  },
  {
    file: 'src/shards/kernel/versions.ts',
    from: 'LATER_TYPES: u64 = 0',
    to: 'LATER_TYPES: u64 = <u64>1 << 0x30',
  },
];

/** Changes of the built JavaScript. */
const changes = [
  {
    file: 'control/broker.js',
    from: 'versions: [PROTOCOL_VERSION]',
    to: 'versions: [1, 2]',
  },
  {
    file: 'shards/requests.js',
    from: 'this.#dispatch(slot, type, sequence, payload, isFirst);',
    to: `if (type === 0x30) {
            const stream = context.u32(at + 8);
            const next = Buffer.alloc(8);
            next.writeBigUInt64LE(BigInt.asUintN(64, context.kernel.nextSequenceOf(stream)));
            this.#reply(slot, 0x30, stream, sequence, next);
            return;
        }
        this.#dispatch(slot, type, sequence, payload, isFirst);`,
  },
];

/** Makes a broker that speaks both versions, of what is built, in `out`; answers its entry. */
export function makeSecondVersion(root, out) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  // The bundle was made before the changes: without it the command runs the modules.
  const isChanged = (path) => path !== join(root, 'dist/bundle');
  cpSync(join(root, 'dist'), join(out, 'dist'), { recursive: true, filter: isChanged });
  cpSync(join(root, 'package.json'), join(out, 'package.json'));
  cpSync(join(root, 'build/kernel-v2.wasm'), join(out, 'dist/shards/kernel.wasm'));
  for (const { file, from, to } of changes) {
    const path = join(out, 'dist', file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not contain: ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  }
  return join(out, 'dist/main.js');
}
