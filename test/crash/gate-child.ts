// A process that installs one release through the real journal, says each step, and waits at one of them to be killed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StateGate } from '../../src/agent/model-gate.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { loadTrust } from '../../src/release/root.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { emptySlot } from '../../src/store/journal.ts';
import { profile } from '../gate/device.ts';

const [dir = '', releaseId = '', source = '', stop = ''] = process.argv.slice(2);
const now = Number(readFileSync(join(dir, 'now'), 'utf8'));
const session = Buffer.alloc(16, 7);
const stateDir = join(dir, 'state');

await using journal = await openJournal({
  path: join(stateDir, 'journal.sqlite'),
  onCorrupt: 'start-over',
  session,
  now,
});
await using pool = new HashPool();
let steps = 0;
const gate = new StateGate({
  journal,
  stateDir,
  trust: loadTrust(readFileSync(join(dir, 'fleet.json')), readFileSync(join(dir, 'root.json')), now, 0),
  profile,
  pool,
  session,
  now: () => now,
  agentVersion: '0.1.0',
  step: async (name) => {
    process.stdout.write(`${steps} ${name}\n`);
    if (String(steps++) !== stop) return;
    // Waits for its end, which comes from outside; the timer keeps the process alive until then.
    setInterval(() => undefined, 1000);
    await new Promise(() => undefined);
  },
});
await gate.recover();
if ((await gate.standing('main')).row.state === 'TRIAL') await gate.commit('main');
const rows = await journal.slots();
const row = rows.find((one) => one.slot === 'main') ?? emptySlot('main');
const body = { kind: 'install', slot: 'main', order: row.order + 1, release: releaseId, source } as const;
const outcome = await gate.install(body, { ...row, order: body.order });
if (outcome.kind === 'activated' && (await gate.standing('main')).row.state === 'TRIAL') await gate.commit('main');
process.stdout.write(`end ${outcome.kind}\n`);
