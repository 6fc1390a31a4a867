// Exit 0 when node_modules holds what package-lock.json asks for. Runs on any Node from 18 on, before anything is installed.
import { existsSync, readFileSync } from 'node:fs';

const read = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;

if (!existsSync('node_modules/.package-lock.json')) process.exit(1);
const wanted = read('package-lock.json');
const found = read('node_modules/.package-lock.json');

/** Whether an optional package is the native part of this platform: those of others are rightly absent. */
const isOurs = ({ os, cpu, libc }) =>
  os?.includes('linux') === true && cpu?.includes(process.arch) === true && (libc?.includes('glibc') ?? true);

const right = Object.entries(wanted).every(([path, entry]) => {
  if (path === '') return true;
  if (entry.optional === true && !isOurs(entry)) return true;
  return found[path]?.integrity === entry.integrity && existsSync(path);
});
process.exit(right && Object.keys(found).every((path) => path in wanted) ? 0 : 1);
