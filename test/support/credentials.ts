/** A folder with secrets and a configuration that names them, for brokers that ask who somebody is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientCredential } from '../../src/frame/handshake.js';

export const SECRET = 'a secret of thirty-two bytes, 1!';
export const OTHER_SECRET = 'a secret of thirty-two bytes, 2!';
export const TOKEN = 'a token of more than sixteen bytes';

export const KEY: ClientCredential = {
  method: 'hmac-sha256',
  keyId: 'all',
  secret: Buffer.from(SECRET),
};
/** May not do everything. */
export const BOUND: ClientCredential = {
  method: 'hmac-sha256',
  keyId: 'bound',
  secret: Buffer.from(OTHER_SECRET),
};
export const TOKEN_CREDENTIAL: ClientCredential = { method: 'token', token: TOKEN };

export class Credentials {
  readonly folder = mkdtempSync(join(tmpdir(), 'memorystreamer-'));
  #configurations = 0;

  constructor() {
    this.file('all.secret', `${SECRET}\n`);
    this.file('bound.secret', OTHER_SECRET);
    this.file('token', `${TOKEN}\n`);
  }

  /** Its path; only this user can read it. */
  file(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A configuration's path; each has a file of its own, for brokers notice when theirs changes. */
  configuration(auth: object): string {
    const method = 'hmac-sha256';
    return this.file(
      `configuration-${++this.#configurations}.json`,
      JSON.stringify({
        auth,
        credentials: [
          { keyId: 'all', method, secretFile: 'all.secret' },
          {
            keyId: 'bound',
            method,
            secretFile: 'bound.secret',
            publish: { allow: ['orders.>'], deny: ['orders.secret.*'] },
            subscribe: { deny: ['orders.secret.>'] },
            create: { allow: ['orders.new.*'] },
          },
          { keyId: 'token', method: 'token', secretFile: 'token' },
        ],
      }),
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
