/**
 * Messages between control and a shard, many in one: what a message costs is mostly the posting and the waking, and a
 * thousand clients that come back at once ask a thousand things in a few turns.
 *
 * Invariant: messages arrive in the order in which they were posted, whichever of them wait for others.
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import type { ControlMessage, ShardMessage } from './messages.js';

type ShardType = ShardMessage['type'];
type ControlType = ControlMessage['type'];

/** What clients ask for, one each; the others are rare, or hold a secret that is wiped as soon as it is posted. */
export const ASKED_TOGETHER: ReadonlySet<ShardType> = new Set<ShardType>([
  'open',
  'subscribe',
  'unsubscribe',
]);
export const ANSWERED_TOGETHER: ReadonlySet<ControlType> = new Set<ControlType>([
  'opened',
  'refused',
  'subscribed',
]);

export class Outbox<Message extends { readonly type: string }> {
  readonly #port: Pick<MessagePort, 'postMessage'>;
  readonly #together: ReadonlySet<Message['type']>;
  #messages: Message[] = [];

  constructor(port: Pick<MessagePort, 'postMessage'>, together: ReadonlySet<Message['type']>) {
    this.#port = port;
    this.#together = together;
  }

  /** False: it waits for `flush`. True: it is under way, and with it all that waited. */
  post(message: Message): boolean {
    this.#messages.push(message);
    return !this.#together.has(message.type) && this.flush();
  }

  /** True: something was there, and is under way now. */
  flush(): boolean {
    if (this.#messages.length === 0) return false;
    const messages = this.#messages;
    this.#messages = [];
    this.#port.postMessage(messages);
    return true;
  }
}

/** One message after the other of what an outbox has sent. */
export class Inbox<Message> {
  readonly #port: MessagePort;
  #messages: readonly Message[] = [];
  #next = 0;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  take(): Message | undefined {
    if (this.#next === this.#messages.length) {
      this.#messages = (receiveMessageOnPort(this.#port)?.message ?? []) as readonly Message[];
      this.#next = 0;
    }
    return this.#next < this.#messages.length ? this.#messages[this.#next++] : undefined;
  }
}
