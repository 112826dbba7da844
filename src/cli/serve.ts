/**
 * `memorystreamer serve`: configuration → broker → signals.
 *
 *   starting ──ready──▶ serving ──signal──▶ stopping ──▶ exit 0
 *      │                  │ failed             │ second signal, or not done in time
 *      ▼                  ▼                    ▼
 *    error              exit 1            kill, exit 1
 */
import { systemClock } from '../clock.js';
import { credentialsOf } from '../config/credentials.js';
import { loadConfiguration, type Configuration } from '../config/load.js';
import { Reloader } from '../config/reload.js';
import type { Config } from '../config/table.js';
import { Watcher } from '../config/watch.js';
import { arenaHoldsTables } from '../control/arena-plan.js';
import type { Broker, StartBroker } from '../control/types.js';
import { MemoryStreamerError } from '../errors.js';
import { createLogger, type Logger } from '../log.js';
import { errorText, EXIT_DONE, EXIT_FAULT } from './exit-codes.js';
import { logMeters } from './meters.js';

/** What `stop()` may take beyond `shutdown.grace` before it is no longer waited for. */
const STOP_OVERTIME_MS = 2_000;

/** Runs the broker until a signal ends it; answers the exit code. `start` is given by tests alone. */
export async function runServe(argv: readonly string[], start?: StartBroker): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    const { serveHelp } = await import('./help.js');
    process.stdout.write(serveHelp());
    return EXIT_DONE;
  }
  const rules = [arenaHoldsTables];
  const load = (): Promise<Configuration> => loadConfiguration({ argv, env: process.env, rules });
  const first = await load();
  requireLinux();
  const { values: config } = first;
  const log = createLogger(config.log.level);
  for (const warning of first.warnings) log.warn(warning);

  const signals = new Signals(first, log);
  const watcher = watchFiles(first, signals, log);
  const startBroker = start ?? (await loadStartBroker());
  const broker = await startBroker({
    config,
    log,
    credentials: credentialsOf(config.credentials, first.secrets),
  });
  // What monitoring compares with `config check`, and with the lines `config reload` later on.
  log.info({ digest: first.digest, paths: first.paths }, 'config loaded');
  signals.broker = broker;
  signals.reloadBy(
    new Reloader({
      current: first,
      load,
      apply: async ({ values: config, secrets, warnings }) => {
        await broker.apply(config, credentialsOf(config.credentials, secrets));
        log.level = config.log.level;
        for (const warning of warnings) log.warn(warning);
      },
      log,
      clock: systemClock,
    }),
  );
  // Whoever started the broker may not read any further: that is no reason to end.
  process.stdout.on('error', () => undefined);
  process.stdout.write(
    `memorystreamer ready url=${broker.url} shards=${broker.shards} pid=${process.pid}\n`,
  );

  const failure = await Promise.race([signals.stopAsked, broker.failed]);
  watcher?.close();
  if (failure !== undefined) return fail(broker, failure, log);
  return stop(broker, signals, log);
}

/** Undefined where nothing is to be watched. */
function watchFiles(
  { values: config, paths }: Configuration,
  signals: Signals,
  log: Logger,
): Watcher | undefined {
  if (config.reload.on === 'signal' || paths.length === 0) return undefined;
  return new Watcher({
    paths: () => signals.paths,
    changed: () => signals.reload('watch'),
    deaf: (reason) => {
      log.warn(
        { reason },
        'changes of the configuration are noticed within two seconds, not at once',
      );
    },
  });
}

function requireLinux(): void {
  const { platform, arch } = process;
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return;
  throw new MemoryStreamerError(
    'MS_ERR_NOT_LINUX',
    `the broker needs Linux on x64 or arm64, this is ${platform} on ${arch}; the client library runs here`,
  );
}

async function loadStartBroker(): Promise<StartBroker> {
  // Not above: `--help` and a refused configuration need no koffi.
  const { startBroker } = await import('../control/broker.js');
  return startBroker;
}

/** Listens to the process' signals from before the broker starts, so that none is lost. */
class Signals {
  readonly #first: Configuration;
  broker: Broker | undefined;
  #reloader: Reloader | undefined;
  /** Who asked for a reload before there was anything to reload. */
  #reloadAsked: string | undefined;
  /** Resolves at the first SIGTERM or SIGINT. */
  readonly stopAsked: Promise<undefined>;

  constructor(first: Configuration, log: Logger) {
    this.#first = first;
    this.stopAsked = new Promise((resolve) => {
      let isAsked = false;
      const end = (signal: NodeJS.Signals) => {
        if (isAsked) this.#endAtOnce(signal, log);
        isAsked = true;
        log.info({ signal }, 'stopping');
        resolve(undefined);
      };
      process.on('SIGTERM', end);
      process.on('SIGINT', end);
    });
    process.on('SIGUSR2', () => {
      if (this.config.debug.faults) this.broker?.crashShard();
      else this.#logMeters(log);
    });
    process.on('SIGHUP', () => this.reload('SIGHUP'));
  }

  reload(by: string): void {
    if (this.#reloader === undefined) this.#reloadAsked = by;
    else void this.#reloader.reload(by);
  }

  /** The broker is there: reloads go to `reloader`, one that has been asked for among them. */
  reloadBy(reloader: Reloader): void {
    this.#reloader = reloader;
    if (this.#reloadAsked !== undefined) void reloader.reload(this.#reloadAsked);
  }

  /** What the broker runs with. */
  get config(): Config {
    return this.current.values;
  }

  get current(): Configuration {
    return this.#reloader?.current ?? this.#first;
  }

  /** What is to be watched. */
  get paths(): readonly string[] {
    return this.#reloader?.paths ?? this.#first.paths;
  }

  #logMeters(log: Logger): void {
    if (this.broker !== undefined) logMeters(this.broker.takeMeters(), log, process.stderr);
  }

  #endAtOnce(signal: NodeJS.Signals, log: Logger): never {
    log.warn({ signal }, 'a second signal: ending at once');
    this.broker?.kill();
    process.exit(EXIT_FAULT);
  }
}

function fail(broker: Broker, failure: Error, log: Logger): never {
  log.fatal({ err: failure }, 'the broker cannot go on');
  process.stderr.write(errorText(failure));
  broker.kill();
  process.exit(EXIT_FAULT);
}

async function stop(broker: Broker, { config }: Signals, log: Logger): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  const graceMs = config.shutdown.grace;
  const overtime = setTimeout(() => {
    log.error({ graceMs }, 'not stopped in time: ending at once');
    broker.kill();
    process.exit(EXIT_FAULT);
  }, graceMs + STOP_OVERTIME_MS);
  await broker.stop();
  clearTimeout(overtime);
  log.info({ tookMs: Math.round(systemClock.monotonicMs() - startedMs) }, 'stopped');
  if (config.log.histograms) logMeters(broker.takeMeters(), log, process.stderr);
  // Signal handlers would keep nothing alive, but a library's leftover handle could.
  process.exit(EXIT_DONE);
}
