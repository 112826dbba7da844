// `memorystreamer serve` as it is; beside it the process answers on its channel to whoever started it:
// "gap" → { gapMs }, the longest time between two turns of any shard since it was asked last.
import { runServe } from '../../dist/cli/serve.js';
import { startBroker } from '../../dist/control/broker.js';

let broker;
process.on('message', () => process.send({ gapMs: broker.takeLongestGapMs() }));
// It is no reason for the process to live on.
process.channel.unref();
process.exitCode = await runServe(process.argv.slice(2), async (options) => {
  broker = await startBroker(options);
  return broker;
});
