// What a broker tells of itself by SIGUSR2, beside what its clients know.
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';

afterEach(endBrokers);

const FRAMES = 5000;

interface Figures {
  readonly count: number;
  readonly p50: number;
  readonly max: number;
  readonly sum: number;
}

interface Told {
  readonly shard: number;
  readonly turnNs: Figures;
  readonly appendToSendNs: Figures;
  readonly framesPerReceive: Figures;
  readonly framesPerSend: Figures;
  readonly longestTurnNs: number;
}

async function told(broker: Broker, shards: number): Promise<Told[]> {
  const before = broker.linesWith('histograms').length;
  broker.signal('SIGUSR2');
  await broker.logged('histograms', before + shards);
  return broker.linesWith('histograms').slice(before) as unknown as Told[];
}

const sumOf = (all: readonly Told[], name: 'framesPerReceive' | 'framesPerSend'): number =>
  all.reduce((sum, each) => sum + each[name].sum, 0);

describe('a broker that is asked for its histograms', () => {
  it('has counted every frame that came and every one that left, in turns', async () => {
    const broker = await startBroker('--shards', '2');
    await using publisher = await connect(broker.url);
    await using subscriber = await connect(broker.url);
    const subscription = subscriber.subscribe('counted');
    await subscription.ready;
    const frames = await publisher.publisher('counted');
    for (let i = 0; i < FRAMES; i++) await frames.send(`${i}`);
    await frames.flush();
    let got = 0;
    for await (const batch of subscription.batches()) {
      got += batch.length;
      if (got === FRAMES) break;
    }
    const all = await told(broker, 2);
    expect(all.map(({ shard }) => shard)).toEqual([1, 2]);
    expect(sumOf(all, 'framesPerReceive')).toBe(FRAMES);
    expect(sumOf(all, 'framesPerSend')).toBe(FRAMES);
    for (const { turnNs, longestTurnNs } of all) {
      expect(turnNs.count).toBeGreaterThan(0);
      expect(turnNs.p50).toBeGreaterThan(0);
      expect(turnNs.max).toBeLessThanOrEqual(turnNs.sum);
      expect(longestTurnNs).toBeGreaterThanOrEqual(turnNs.max);
    }
    const delays = all.map(({ appendToSendNs }) => appendToSendNs);
    expect(delays.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(0);
  });

  it('tells of a shard that died, and of the one in its place, in one', async () => {
    const broker = await startBroker('--shards', '1', '--debug-faults', '--log-histograms');
    const publish = async () => {
      await using client = await connect(broker.url);
      await client.publish('a', 'x', { ack: true });
    };
    await publish();
    await broker.crashOneShard();
    await publish();
    await broker.stop();
    const all = broker.linesWith('histograms') as unknown as Told[];
    expect(all).toHaveLength(1);
    expect(sumOf(all, 'framesPerReceive')).toBe(2);
  });
});
