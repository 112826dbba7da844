import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ROOT } from '../../support/broker.js';
import { Project, runScript } from '../../support/project.js';

interface Component {
  'bom-ref': string;
  group?: string;
  name: string;
  version: string;
  purl: string;
  hashes: { alg: string; content: string }[];
  licenses: { license: { id: string } }[];
}

interface Bom {
  bomFormat: string;
  specVersion: string;
  metadata: { component: { name: string; version: string } };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

let project: Project;

beforeEach(() => {
  project = new Project();
});

afterEach(() => {
  project.remove();
});

test('every package of an installation is named, with version, licence and checksum', async () => {
  const file = join(project.folder, 'sbom.json');
  expect(await runScript('release/sbom.mjs', [file])).toMatchObject({ code: 0, stderr: '' });
  const bom = JSON.parse(readFileSync(file, 'utf8')) as Bom;
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  expect(bom.bomFormat).toBe('CycloneDX');
  const { name, version } = bom.metadata.component;
  expect({ name, version }).toEqual({ name: 'memorystreamer', version: manifest.version });
  const purls = bom.components.map(({ purl }) => purl.replace(/@[^@]*$/, ''));
  for (const each of Object.keys(manifest.dependencies)) expect(purls).toContain(`pkg:npm/${each}`);
  for (const each of Object.keys(manifest.devDependencies)) {
    expect(purls).not.toContain(`pkg:npm/${each.replace('@', '%40')}`);
  }
  for (const component of bom.components) {
    expect(component.version, component.name).toMatch(/^\d+\.\d+\.\d+/);
    expect(component.licenses[0]?.license.id, component.name).toBeTruthy();
    expect(component.hashes[0]?.alg, component.name).toBe('SHA-512');
  }
  // Every edge leads to a package of the list: tools have gone with all that only they need.
  const references = [
    ...bom.components.map((each) => each['bom-ref']),
    `memorystreamer@${version}`,
  ];
  for (const { ref, dependsOn } of bom.dependencies) {
    expect(references).toEqual(expect.arrayContaining([ref, ...dependsOn]));
  }
});

test('one that lacks a licence is not written', async () => {
  const entry = { version: '1.0.0', license: 'MIT' };
  project.lock(
    { planted: '1.0.0', bare: '1.0.0' },
    { 'node_modules/planted': entry, 'node_modules/bare': { version: '1.0.0' } },
  );
  const file = join(project.folder, 'sbom.json');
  const { code, stderr } = await runScript('release/sbom.mjs', [file, project.folder]);
  expect(stderr).toBe('bare@1.0.0 has no licence\n');
  expect(code).toBe(1);
  expect(existsSync(file)).toBe(false);
});

test('a wrong command line is refused', async () => {
  expect((await runScript('release/sbom.mjs', [])).code).toBe(2);
});
