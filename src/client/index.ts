export { Client, connect, type ClientEvents, type PublishOptions } from './client.js';
export type { ClientAuth, ClientClock, ConnectOptions, ReconnectOptions } from './options.js';
export type { Published } from './publication.js';
export { Publisher } from './publisher.js';
export {
  Subscription,
  type Gap,
  type Message,
  type Reset,
  type SubscribeOptions,
  type SubscriptionEvents,
} from './subscription.js';
