// Checks the registry's signature of every installed package, and the provenance of those that have one, by
// `npm audit signatures`. It asks the registry for each package, and sigstore for the keys.
//
//   node scripts/security/signatures.mjs             no answer is a warning
//   node scripts/security/signatures.mjs --require   no answer is a failure
//
// --timeout-s SECONDS  for the whole answer; default 120
// --folder DIR         another project, installed
//
// Exit codes: 0 all hold (or no answer, with a warning), 1 a signature is missing or does not hold,
// 2 wrong flags, 3 no answer although one is required.
import { conclude, concludeUnreachable, flags, millisecondsOf, npmJson } from './shared.mjs';

const options = flags({
  require: { type: 'boolean', default: false },
  'timeout-s': { type: 'string', default: '120' },
});
const everything = ['--include=dev', '--include=optional', '--include=peer'];
const args = ['audit', 'signatures', ...everything, '--fetch-retries=1'];
const { answer, fault } = npmJson(options.folder, args, millisecondsOf(options['timeout-s']));

const isAnswer = Array.isArray(answer?.invalid) && Array.isArray(answer?.missing);
if (isAnswer) {
  const invalid = answer.invalid.map(
    ({ name, version, message }) => `${name}@${version}: ${message}`,
  );
  const missing = answer.missing.map(({ name, version }) => `${name}@${version}: it is not signed`);
  conclude([...invalid, ...missing], 'every package bears a signature that holds');
} else {
  const why = fault ?? answer.error?.summary ?? 'npm gave no lists of packages';
  concludeUnreachable('signatures could not be checked', why, options.require);
}
