// How every test of the project is found and run: one vitest project for each kind of test, the slow kinds last.
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config';

/** Folders whose tests run real programs; every other folder holds unit tests. */
const KINDS = ['contract', 'attacks', 'swtpm', 'crash', 'e2e'];

function project(
  name: string,
  include: string[],
  exclude: string[],
  groupOrder: number,
): TestProjectInlineConfiguration {
  return { extends: true, test: { name, include, exclude, sequence: { groupOrder } } };
}

const config: ViteUserConfig = defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: [new URL('run/announce.ts', import.meta.url).pathname],
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      project(
        'unit',
        ['test/**/*.test.ts'],
        KINDS.map((kind) => `test/${kind}/**`),
        0,
      ),
      ...KINDS.map((kind, index) => project(kind, [`test/${kind}/**/*.test.ts`], [], index + 1)),
    ],
  },
});

export default config;
