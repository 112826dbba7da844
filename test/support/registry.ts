/** A registry on loopback, as far as `npm audit` asks one: advisories in bulk, and what versions there are. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

export interface Advisory {
  id: number;
  url: string;
  title: string;
  severity: string;
  vulnerable_versions: string;
  cwe: string[];
  cvss: { score: number; vectorString: string };
}

/** Says of each path what is answered: a status with a body, or nothing for ever. */
export type Answers = (path: string) => { status: number; body: unknown } | 'silence';

export class Registry {
  /** Versions asked for, by package. */
  asked: Record<string, string[]> = {};
  readonly #server: Server;

  static async start(answers: Answers): Promise<Registry> {
    const registry = new Registry(answers);
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  private constructor(answers: Answers) {
    this.#server = createServer((request, response) => {
      void this.#note(request).then(() => {
        const answer = answers(request.url!);
        if (answer === 'silence') return;
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        const { body } = answer;
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
  }

  async #note(request: IncomingMessage): Promise<void> {
    const bytes = await buffer(request);
    if (request.method !== 'POST') return;
    const isZipped = request.headers['content-encoding'] === 'gzip';
    const text = (isZipped ? gunzipSync(bytes) : bytes).toString();
    this.asked = JSON.parse(text) as Record<string, string[]>;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
