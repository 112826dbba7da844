// A configuration that knows one key, for brokers whose clients prove themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const KEY_ID = 'perf';
const SECRET = 'perf secret of 32 bytes, no more';
const WRONG_SECRET = 'perf secret of 32 bytes, no less';

/** Files in a folder of their own, which `remove` takes away. */
export function writeCredentials() {
  const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-'));
  const write = (name, content) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const generatorOf = (path) => ({ 'key-id': KEY_ID, 'secret-file': path });
  const credentials = [{ keyId: KEY_ID, method: 'hmac-sha256', secretFile: 'secret' }];
  let count = 0;
  return {
    /** Options of the generator: who it is, and who it says it is and is not. */
    good: generatorOf(write('secret', SECRET)),
    bad: generatorOf(write('wrong', WRONG_SECRET)),
    /** Flags of a broker that knows the key. */
    flags(auth = {}) {
      const text = JSON.stringify({ auth, credentials });
      return ['--config', write(`configuration-${++count}.json`, text)];
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
