// Following upgrades: to the end of each, over a controller that goes away and comes back, or until somebody has seen enough.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { followUpgrades } from '../../src/cli/upgrade-follow.ts';
import type { GivenUpgrade } from '../../src/cli/upgrade-end.ts';

const RELEASE = 'aa'.repeat(32);
const given = (device: string): GivenUpgrade => ({ device, command: `c-${device}`, slot: 'main', release: RELEASE });

/** What a controller says of a device: nothing heard yet, or how its command ended. */
function line(id: string, outcome: object | null, online = true): string {
  const verdict = { status: 'affirming', findings: [] };
  const slots = [{ slot: 'main', release: outcome === null ? null : RELEASE, state: 'active' }];
  const commands = [{ id: `c-${id}`, outcome }];
  return `${JSON.stringify({ device: { id, label: id, state: 'approved', online, verdict, slots, commands } })}\n`;
}
const DONE = { kind: 'activated', rule: 'done', detail: '' };
const REFUSED = { kind: 'refused', rule: 'release-older', detail: 'older' };

let dir = '';
let server: Server;
/** What each connection in turn is told. */
let turns: ((response: ServerResponse) => void)[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'follow-'));
  server = createServer((request, response) => {
    request.resume().once('end', () => {
      const turn = turns.shift();
      if (turn === undefined) response.destroy();
      else turn(response);
    });
  });
  server.listen(join(dir, 'control.sock'));
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function follow(devices: readonly string[], signal = new AbortController().signal) {
  const [moves, gone]: [string[], string[]] = [[], []];
  const states = await followUpgrades(dir, devices.map(given), signal, {
    moved: ({ device, end }) => moves.push(`${device} ${end}`),
    alone: () => gone.push('gone'),
  });
  return { ends: states.map(({ device, end, rule }) => [device, end, rule]), moves, gone: gone.length };
}

describe('upgrades', () => {
  test('are followed until each has ended, one of them badly', async () => {
    turns = [(to) => void to.write(line('a', null) + line('b', REFUSED) + line('a', DONE))];
    expect(await follow(['a', 'b'])).toEqual({
      ends: [
        ['a', 'attested', null],
        ['b', 'refused', 'release-older'],
      ],
      moves: ['a under-way', 'b refused', 'a attested'],
      gone: 0,
    });
  });

  test.each([
    ['ends', (to: ServerResponse): void => void to.end(line('a', null))],
    ['dies', (to: ServerResponse): void => void to.write(line('a', null), () => to.destroy())],
  ])('are followed on when the controller %s and comes back', async (_, leave) => {
    turns = [leave, (to) => void to.write(line('a', DONE))];
    expect(await follow(['a'])).toMatchObject({ ends: [['a', 'attested', null]], gone: 1 });
  });

  test('of devices that are not there are under way when somebody has seen enough', async () => {
    const enough = new AbortController();
    turns = [
      (to) => {
        to.write(line('a', DONE) + line('b', null, false), () => {
          setImmediate(() => {
            enough.abort();
          });
        });
      },
    ];
    const { ends } = await follow(['a', 'b'], enough.signal);
    expect(ends[1]).toEqual(['b', 'under-way', null]);
  });

  test('that nobody may ask for are an error, not a wait', async () => {
    turns = [
      (to) => {
        to.writeHead(400).end(JSON.stringify({ error: { code: 'CONTROL_REFUSED', message: 'no such device' } }));
      },
    ];
    await expect(follow(['a'])).rejects.toThrow('no such device');
  });
});
