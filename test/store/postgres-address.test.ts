// The address of a database server: what it may say, and what it may not; no refusal repeats a password.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TouchstoneError } from '../../src/errors.ts';
import { readPostgresUrl } from '../../src/store/postgres.ts';

test('a socket and this machine need no TLS; every other machine does, and its certificate is checked', () => {
  expect(readPostgresUrl('postgres:///fleet?host=/run/postgresql')).toMatchObject({
    host: '/run/postgresql',
    port: 5432,
    database: 'fleet',
    user: userInfo().username,
    ssl: false,
  });
  expect(readPostgresUrl('postgresql://ada@localhost:5433/fleet')).toMatchObject({
    user: 'ada',
    port: 5433,
    ssl: false,
  });
  expect(readPostgresUrl('postgres://[::1]/fleet')).toMatchObject({ host: '::1', ssl: false });
  expect(readPostgresUrl('postgres://ada@db.example.com/fleet').ssl).toEqual({ ca: undefined });
  expect(readPostgresUrl('postgres://ada@localhost/fleet?sslmode=verify-full').ssl).toEqual({ ca: undefined });
  const folder = mkdtempSync(join(tmpdir(), 'address-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, 'ca.pem');
  writeFileSync(file, 'authority');
  expect(readPostgresUrl(`postgres://ada@10.0.0.7/fleet?sslrootcert=${file}`).ssl).toEqual({ ca: 'authority' });
});

test.each([
  ['a password', 'postgres://ada:sesame@localhost/fleet', 'PGPASSWORD'],
  ['a password in a parameter', 'postgres://ada@localhost/fleet?password=sesame', 'password'],
  ['no TLS to another machine', 'postgres://ada@db.example.com/fleet?sslmode=disable', 'verify-full'],
  ['TLS that anybody can answer', 'postgres://ada@db.example.com/fleet?sslmode=require', 'verify-full'],
  [
    'a name that only begins like this machine',
    'postgres://ada@127.0.0.1.example.com/fleet?sslmode=disable',
    'verify-full',
  ],
  [
    'another machine behind the parameter',
    'postgres://ada@localhost/fleet?host=db.example.com&sslmode=disable',
    'verify-full',
  ],
  ['no database', 'postgres://ada@localhost', 'database'],
  ['another kind of server', 'mysql://ada:sesame@localhost/fleet', 'postgres://'],
  ['no address at all', 'sesame', 'postgres://'],
  ['options for the server', 'postgres://localhost/fleet?options=-c%20fsync%3Doff', 'options'],
  ['a file that is not there', 'postgres://db.example.com/fleet?sslrootcert=/nowhere/ca.pem', '/nowhere/ca.pem'],
])('%s is refused', (_, address, word) => {
  const refusal = (() => {
    try {
      return readPostgresUrl(address);
    } catch (error) {
      return error;
    }
  })();
  expect(refusal).toBeInstanceOf(TouchstoneError);
  expect((refusal as Error).message).toContain(word);
  expect((refusal as Error).message).not.toContain('sesame');
});
