/** What control gives the acceptor's thread to begin with, and what it tells it later. */
import type { MessagePort } from 'node:worker_threads';

export interface AcceptorTask {
  readonly memory: WebAssembly.Memory;
  readonly port: MessagePort;
  readonly sharedAt: number;
  readonly slots: number;
  readonly threadsAt: number;
  readonly shards: number;
  readonly nodeOfShard: readonly number[];
  readonly nodeOfCpu: readonly number[];
  readonly connectionsMax: number;
  readonly listenFd: number;
  readonly eventfds: readonly number[];
  readonly wakeFd: number;
}

export type AcceptorOrder =
  | { readonly type: 'bar'; readonly address: string; readonly forMs: number }
  | { readonly type: 'unbar' }
  | { readonly type: 'end' };

export interface AcceptorLog {
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}
