/** Signals of commands that are clients. */

/** SIGINT and SIGTERM end it in order, once; the next one ends it at once. Answers how to forget them. */
export function onSignals(stop: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}
