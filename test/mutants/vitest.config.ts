// The project's tests on a mutant: the one source file that the environment names is changed while it is loaded.
import { join } from 'node:path';
import { mergeConfig, type ViteUserConfig } from 'vitest/config';
import base from '../vitest.config.ts';
import { MUTANT_VARIABLE, parseMutant, withoutCheck } from './mutate.ts';

const mutant = parseMutant(process.env[MUTANT_VARIABLE] ?? '');
const file = join(import.meta.dirname, '../..', mutant.file);

const config: ViteUserConfig = mergeConfig(base, {
  // What was loaded for one mutant must not be found by the next.
  test: { fsModuleCache: false },
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform: (source: string, id: string) => (id.split('?', 1)[0] === file ? withoutCheck(source, mutant) : null),
    },
  ],
});

export default config;
