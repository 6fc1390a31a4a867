// Exit 0 when node_modules holds what package-lock.json asks for. Runs on any Node from 18 on, before anything is installed.
import { existsSync, readFileSync } from 'node:fs';

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

if (!existsSync('node_modules/.package-lock.json')) process.exit(1);
const wanted = read('package-lock.json');
const found = read('node_modules/.package-lock.json');

// Optional packages are those of other platforms; where they are wanted here, the package that needs them says so itself.
const right = Object.entries(wanted).every(
  ([path, { integrity, optional }]) => path === '' || found[path]?.integrity === integrity || optional === true,
);
process.exit(right && Object.keys(found).every((path) => path in wanted) ? 0 : 1);
