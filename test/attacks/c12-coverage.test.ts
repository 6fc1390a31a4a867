// C12, measured too little: one byte of anything that decides what a device does, and its verdict is another one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Components, LogEvent } from '../../src/cel/events.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { measureComponents } from '../../src/measure/components.ts';
import { measureSlot } from '../../src/measure/slot-measurer.ts';
import { configsDigest } from '../../src/profile/configs.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { signedRelease, sha256, SlotFolder, slotProfile } from '../measure/slots.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import { agentStart, boot, build, digestOf, reference, release, slotEvent } from '../verifier/evidence-builder.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'coverage-'));
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

/** A device's disk: everything on it that decides what the device does. */
const DISK: Readonly<Record<string, string>> = {
  'app/package.json': '{"dependencies":{"one":"1"}}',
  'app/src/main.ts': 'main',
  'app/native/tss2.ts': 'native',
  'app/node_modules/one/package.json': '{}',
  'app/node_modules/one/index.js': 'one',
  'app/node_modules/one/build/addon.node': 'binary',
  node: 'the node binary',
  'fleet/fleet.json': 'fleet',
  'fleet/root.json': 'root',
  'profile.json': 'profile',
  'runtime/lib.so': 'runtime',
  'etc/classes.json': 'labels and thresholds',
};
for (const [path, text] of Object.entries(DISK)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const MODEL = { 'model.onnx': 'weights', 'labels.txt': 'cat\ndog\n' };
const signed = signedRelease(MODEL);
const slot = new SlotFolder();
slot.install(MODEL);
afterAll(() => {
  slot[Symbol.dispose]();
});

const at = (path: string): string => join(root, path);
const configs = [{ path: at('etc/classes.json'), sha256: manifestOf('etc/classes.json') }];
function manifestOf(path: string): string {
  const text = DISK[path] ?? '';
  const name = path.split('/').at(-1) ?? '';
  return manifestDigest([{ path: name, size: text.length, sha256: sha256(text) }]).toString('hex');
}

interface Seen {
  readonly components: Components;
  readonly slotSeen: LogEvent;
}

/** What an agent measures of this disk. */
async function look(): Promise<Seen> {
  const components = await measureComponents({
    profileDigest: sha256(readFileSync(at('profile.json'))),
    trustBytes: Buffer.concat([readFileSync(at('fleet/fleet.json')), readFileSync(at('fleet/root.json'))]),
    runtime: at('runtime'),
    pool,
    code: at('app'),
    node: at('node'),
  });
  const seen = await measureSlot({ slot: slotProfile(configs), stateDir: slot.stateDir, expected: signed, pool });
  const { differing, more, configs: digest } = seen;
  const slotSeen: LogEvent = { ...slotEvent, manifest: sha256(seen.manifest), configs: digest, differing, more };
  return { components, slotSeen };
}

const golden = await look();

function rules({ components, slotSeen }: Seen): string[] {
  const events: LogEvent[] = [{ ...boot, components } as LogEvent, { ...agentStart, components } as LogEvent, slotSeen];
  const expected = { ...release, manifest: sha256At(golden) };
  const input = build({
    events,
    input: (genuine) => ({
      ...genuine,
      reference: {
        ...reference,
        profile: {
          ...reference.profile,
          slots: reference.profile.slots.map((one) => ({ ...one, configs: configsDigest(configs) })),
        },
        releases: new Map([[release.id, expected]]),
        components: [{ ...golden.components, profile: reference.profile.digest }],
      },
    }),
  });
  return [...new Set(appraise(input).findings.map(({ rule }) => rule))];
}
function sha256At({ slotSeen }: Seen): Buffer {
  return slotSeen.type === 'slot' ? Buffer.from(slotSeen.manifest) : Buffer.alloc(0);
}

/** The builder's profile digest stands for the golden profile.json. */
function asBuilt(seen: Seen): Seen {
  const same = Buffer.from(seen.components.profile).equals(Buffer.from(golden.components.profile));
  return { ...seen, components: { ...seen.components, profile: same ? digestOf('profile') : seen.components.profile } };
}

test('a disk as it should be is affirming: no finding at all', async () => {
  expect(rules(asBuilt(await look()))).toEqual([]);
});

const paths = [
  ...Object.keys(DISK).map((path) => [path, at(path)]),
  ...Object.keys(MODEL).map((path) => [path, join(slot.modelOf(), path)]),
];
test.each(paths)(
  'one byte of %s changes the verdict, and putting it back brings it back',
  async (path = '', file = '') => {
    const before = readFileSync(file);
    // A package.json stays JSON: what changes is a space.
    const after = path.endsWith('package.json') ? Buffer.concat([before, Buffer.from(' ')]) : Buffer.from(before);
    if (after.length === before.length) after[0] = (after[0] ?? 0) ^ 1;
    writeFileSync(file, after);
    const found = rules(asBuilt(await look()));
    writeFileSync(file, before);
    expect([path, found.length > 0]).toEqual([path, true]);
    expect(rules(asBuilt(await look()))).toEqual([]);
  },
);

test.each(['app/src/added.ts', 'app/native/added.ts', 'app/node_modules/one/added.js', 'runtime/added.so'])(
  'a file too many, %s, changes the verdict',
  async (path) => {
    writeFileSync(at(path), '');
    const found = rules(asBuilt(await look()));
    rmSync(at(path));
    expect(found.length).toBeGreaterThan(0);
  },
);

test('a gate that enforces less than it should changes the verdict', () => {
  const weaker: Components = { ...golden.components, gateMode: 'kernel' };
  expect(rules(asBuilt({ ...golden, components: weaker }))).not.toEqual([]);
});
