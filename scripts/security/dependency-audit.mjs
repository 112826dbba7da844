// Asks the registry for advisories on every package of the lock file, by `npm audit`.
//
//   node scripts/security/dependency-audit.mjs             no answer is a warning
//   node scripts/security/dependency-audit.mjs --require   no answer is a failure
//
// --level LEVEL        the least severity that fails: info, low (default), moderate, high, critical
// --allowed FILE       instead of advisories-allowed.json: a list of {id, expires, reason}
// --registry URL       instead of npm's own setting
// --timeout-s SECONDS  for the whole answer; default 60
// --folder DIR         another project
//
// Exit codes: 0 no advisories (or no answer, with a warning), 1 advisories, 2 wrong flags or files,
// 3 no answer although one is required.
import {
  conclude,
  concludeUnreachable,
  flags,
  millisecondsOf,
  npmJson,
  packagesOf,
  readList,
  readLock,
  refuse,
} from './shared.mjs';

const LEVELS = ['info', 'low', 'moderate', 'high', 'critical'];

const options = flags({
  require: { type: 'boolean', default: false },
  level: { type: 'string', default: 'low' },
  allowed: { type: 'string' },
  registry: { type: 'string' },
  'timeout-s': { type: 'string', default: '60' },
});
if (!LEVELS.includes(options.level)) refuse(`--level: one of ${LEVELS.join(', ')} is wanted`);
const timeoutMs = millisecondsOf(options['timeout-s']);

const allowed = readList('advisories-allowed.json', options.allowed);
for (const { id, expires, reason } of allowed) {
  const isDated = /^\d{4}-\d\d-\d\d$/.test(expires) && !Number.isNaN(Date.parse(expires));
  if (!id || !isDated || !reason) refuse('allowed advisories: each needs id, expires and reason');
}

const packageCount = packagesOf(readLock(options.folder)).length;
const registry = options.registry === undefined ? [] : ['--registry', options.registry];
// Where NODE_ENV is production npm would leave out what is needed to build, and not say so.
const everything = ['--include=dev', '--include=optional', '--include=peer'];
const args = ['audit', '--package-lock-only', ...everything, '--fetch-retries=1', ...registry];
const { answer, fault } = npmJson(options.folder, args, timeoutMs);
const why = fault ?? faultOf(answer);
if (why === undefined) judge(answer);
else concludeUnreachable('advisories could not be reached', why, options.require);

/** Why an answer is none: npm reports errors in the same place, and must have looked at every package. */
function faultOf({ auditReportVersion, message, error, metadata }) {
  if (message !== undefined) return message;
  if (error !== undefined) return `${error.code ?? ''} ${error.summary ?? ''}`.trim();
  if (auditReportVersion !== 2) return `a report of version ${auditReportVersion}, not 2`;
  const { total } = metadata.dependencies;
  return total < packageCount
    ? `only ${total} of ${packageCount} packages were asked for`
    : undefined;
}

function judge({ vulnerabilities }) {
  const today = new Date().toISOString().slice(0, 10);
  const findings = [];
  const seen = new Set();
  for (const advisory of advisoriesOf(vulnerabilities)) {
    seen.add(advisory.id);
    const exemption = allowed.find(({ id }) => id === advisory.id);
    if (exemption !== undefined && exemption.expires >= today) {
      console.log(`allowed until ${exemption.expires} (${exemption.reason}): ${advisory.text}`);
    } else if (LEVELS.indexOf(advisory.severity) < LEVELS.indexOf(options.level)) {
      console.log(`below ${options.level}: ${advisory.text}`);
    } else {
      const expired = exemption === undefined ? '' : `, was allowed until ${exemption.expires}`;
      findings.push(`${advisory.text}${expired}`);
    }
  }
  for (const { id } of allowed) {
    if (!seen.has(id)) findings.push(`${id}: it is allowed, but concerns no package any more`);
  }
  conclude(findings, `no advisories on ${packageCount} packages`);
}

/** Each advisory of npm's report once, with what a person needs to act on it. */
function* advisoriesOf(vulnerabilities) {
  for (const { name, via, range, nodes, fixAvailable } of Object.values(vulnerabilities)) {
    for (const advisory of via.filter((each) => typeof each === 'object')) {
      const id = advisory.url.split('/').pop();
      const dependents = dependentsOf(name, vulnerabilities);
      const text =
        `${advisory.severity}: ${name} ${advisory.range ?? range}: ${advisory.title} (${id}); ` +
        `in ${nodes.join(', ')}${dependents === '' ? '' : `, needed by ${dependents}`}; ` +
        fixText(fixAvailable);
      yield { id, severity: advisory.severity, text };
    }
  }
}

/** The packages on the way from the project to this one. */
function dependentsOf(name, vulnerabilities) {
  const found = new Set();
  const follow = (each) => {
    for (const effect of vulnerabilities[each]?.effects ?? []) {
      if (found.has(effect)) continue;
      found.add(effect);
      follow(effect);
    }
  };
  follow(name);
  return [...found].join(', ');
}

function fixText(fix) {
  if (fix === false) return 'no fix is known';
  if (fix === true) return 'fixed by npm audit fix';
  return `fixed by ${fix.name}@${fix.version}${fix.isSemVerMajor ? ' (a major version)' : ''}`;
}
