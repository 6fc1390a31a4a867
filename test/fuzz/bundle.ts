// Makes the targets one script: the fuzzer instruments what it loads with require, and our modules are not of that kind.
import { join } from 'node:path';
import { build } from 'vite';

/** Builds the script into `folder`; its path. */
export async function bundleTargets(folder: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: join(import.meta.dirname, 'entry.ts'),
      outDir: folder,
      emptyOutDir: true,
      target: 'node24',
      minify: false,
      rollupOptions: { output: { format: 'cjs', entryFileNames: 'bundle.cjs' } },
    },
  });
  return join(folder, 'bundle.cjs');
}
