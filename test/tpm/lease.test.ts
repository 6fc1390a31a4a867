// File leases: the kernel's word that nobody writes to a file.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileLeases } from '../../native/libc.ts';

let dir = '';
let file = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lease-'));
  file = join(dir, 'f');
  writeFileSync(file, 'x');
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

test('a file that nobody writes is leased, again after the lease was given back', () => {
  const leases = fileLeases();
  const fd = openSync(file, 'r');
  expect(leases.lease(fd)).toBe('leased');
  leases.release(fd);
  expect(leases.lease(fd)).toBe('leased');
  closeSync(fd);
});

test('a file that somebody has open for writing is busy', () => {
  const leases = fileLeases();
  const writer = openSync(file, 'r+');
  const fd = openSync(file, 'r');
  expect(leases.lease(fd)).toBe('busy');
  closeSync(writer);
  expect(leases.lease(fd)).toBe('leased');
  closeSync(fd);
});

test('what takes no lease is unsupported', () => {
  const fd = openSync(dir, 'r');
  expect(fileLeases().lease(fd)).toBe('unsupported');
  closeSync(fd);
});
