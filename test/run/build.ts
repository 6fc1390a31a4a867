// Builds JavaScript and declarations of src and native for publishing, into dist or the folder given.
import { execFileSync } from 'node:child_process';
import { chmodSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

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
chmodSync(join(dist, 'src', 'cli', 'main.js'), 0o755);
