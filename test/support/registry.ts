/** A registry on loopback, as far as `npm audit` asks one: advisories in bulk, and what versions there are. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
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
}

interface Recorded {
  id: string;
  summary: string;
  affected: { ranges: { events: { introduced?: string; fixed?: string }[] }[] }[];
  database_specific: { cwe_ids: string[]; severity: string };
}

/** What npm's registry says of a record of the GitHub Advisory Database: an advisory for each of its ranges. */
export function recordedAdvisory(name: string): Advisory[] {
  const path = new URL(`./advisories/${name.toLowerCase()}.json`, import.meta.url);
  const record = JSON.parse(readFileSync(path, 'utf8')) as Recorded;
  return record.affected
    .flatMap(({ ranges }) => ranges)
    .map(({ events }, index) => ({
      // The registry's own number, which the record does not have.
      id: 1_000_000 + index,
      url: `https://github.com/advisories/${record.id}`,
      title: record.summary,
      severity: record.database_specific.severity.toLowerCase(),
      vulnerable_versions: rangeOf(events),
      cwe: record.database_specific.cwe_ids,
    }));
}

function rangeOf(events: { introduced?: string; fixed?: string }[]): string {
  const introduced = events.find((event) => event.introduced !== undefined)?.introduced;
  const fixed = events.find((event) => event.fixed !== undefined)?.fixed;
  return introduced === '0' ? `<${fixed}` : `>=${introduced} <${fixed}`;
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
