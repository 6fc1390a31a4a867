// The status on a disk that does not take it: nobody is stopped by that, and it is said once.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { StatusWriter } from '../../src/agent/status-writer.ts';

test('a status that the disk does not take is given out all the same, said once, and written when the disk is well again', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'status-'));
  onTestFinished(() => {
    rmSync(stateDir, { recursive: true });
  });
  const lines: string[] = [];
  let uptime = 0;
  const writer = new StatusWriter({
    stateDir,
    deviceId: 'd',
    fleetId: 'f',
    agent: '1',
    validMs: 10,
    keeper: {
      states: () => [],
      stateOf: () => {
        throw new TypeError('there is no slot');
      },
    },
    floors: new Map(),
    machine: async () => Promise.resolve({ bootId: 'boot', uptime: ++uptime }),
    log: { write: (level, event) => lines.push(`${level} ${event}`) },
  });
  const write = async () => writer.write({ lease: { state: 'none' }, glasses: new Map() }, 'warning');
  // Nothing can be put in its place.
  mkdirSync(join(stateDir, 'status.json', 'in the way'), { recursive: true });
  for (let time = 1; time <= 2; time++) expect(await write()).toMatchObject({ writtenAt: time, verdict: 'warning' });
  expect(lines).toEqual(['warning status']);
  rmSync(join(stateDir, 'status.json'), { recursive: true });
  await write();
  expect(JSON.parse(readFileSync(join(stateDir, 'status.json'), 'utf8'))).toMatchObject({ writtenAt: 3 });
  rmSync(join(stateDir, 'status.json'));
  mkdirSync(join(stateDir, 'status.json', 'in the way'), { recursive: true });
  await write();
  expect(lines).toEqual(['warning status', 'warning status']);
});
