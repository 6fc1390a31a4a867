// Installs one release on a device of its own, with the real journal, as the agent does; says how long it took and the most memory it held.
// Written without types: it runs on the built package, as JavaScript.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateGate } from '../../src/agent/model-gate.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { loadProfile } from '../../src/profile/profile.ts';
import { loadTrust } from '../../src/release/root.ts';
import { emptySlot } from '../../src/store/journal.ts';
import { openJournal } from '../../src/store/open-journal.ts';

const [device = '', release = '', source = ''] = process.argv.slice(2);
const path = (name = '') => join(device, name);
const now = Number(readFileSync(path('now'), 'utf8'));
await using journal = await openJournal({ path: join(device, 'state', 'journal.sqlite') });
await using pool = new HashPool();
const gate = new StateGate({
  journal,
  stateDir: join(device, 'state'),
  trust: loadTrust(readFileSync(path('fleet.json')), readFileSync(path('root.json')), now, 0),
  profile: loadProfile(readFileSync(path('profile.json')), 'profile.json').profile,
  pool,
  session: randomBytes(16),
  now: () => now,
  agentVersion: '0.1.0',
});
await gate.recover();
const row = { ...emptySlot('main'), order: 1 };
await journal.setSlot(row);
const began = process.hrtime.bigint();
const outcome = await gate.install({ release, source }, row);
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
if (outcome.rule !== 'done') throw new Error(`${outcome.rule}: ${outcome.detail}`);
const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
process.stdout.write(JSON.stringify({ seconds, peak }));
