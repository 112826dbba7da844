/** What control gives the acceptor's thread to begin with; any message on the port ends it. */
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

export interface AcceptorLog {
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}
