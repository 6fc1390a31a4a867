// Builds JavaScript and declarations of src and native for publishing, into dist or the folder given.
import { execFileSync } from 'node:child_process';
import { chmodSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'vite';

const root = join(import.meta.dirname, '..', '..');
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'src/tsconfig.json', '--outDir', dist], {
  cwd: root,
  stdio: 'inherit',
});

// The compiler rewrites import specifiers but not the addresses of worker scripts.
for (const name of globSync('**/*.js', { cwd: dist })) {
  const path = join(dist, name);
  const text = readFileSync(path, 'utf8');
  const rewritten = text.replaceAll(/(new URL\(\s*(['"])\.{1,2}\/[\w./-]+)\.ts\2/g, '$1.js$2');
  if (rewritten !== text) writeFileSync(path, rewritten);
}

/** What a device's agent loads, with its threads beside it; as deep in dist as the rooms are, for what looks for its neighbours. */
const device = join(dist, 'src', 'device');

// An agent is started on small devices and then stays: a few short files take a tenth of its memory less than some hundred long ones.
await build({
  configFile: false,
  root,
  logLevel: 'error',
  publicDir: false,
  ssr: { noExternal: true, external: ['better-sqlite3', 'koffi', 'ws', 'socks'] },
  build: {
    ssr: true,
    outDir: device,
    emptyOutDir: false,
    target: 'node22',
    minify: true,
    rolldownOptions: {
      input: {
        'agent-start': join(root, 'src/cli/agent-start.ts'),
        'hash-worker': join(root, 'src/files/hash-worker.ts'),
        'journal-worker': join(root, 'src/store/journal-worker.ts'),
      },
      output: { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
    },
  },
});
for (const name of globSync('*.js', { cwd: device })) {
  const path = join(device, name);
  const text = readFileSync(path, 'utf8');
  // One letter beyond ASCII, and V8 keeps two bytes for each letter of the file.
  const escaped = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  writeFileSync(path, text.replaceAll(/[^\0-\x7f]/g, escaped));
}
writeFileSync(join(dist, 'src/cli/agent-start.js'), "export { startAgent } from '../device/agent-start.js';\n");
chmodSync(join(dist, 'src', 'cli', 'main.js'), 0o755);
