// Firmware profiles: what is refused, and that every fault is named.
import { readFile, readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inspectProfile, loadProfile, quotedPcrs } from '../../src/profile/profile.ts';
import type { Profile, ProfileFault } from '../../src/profile/profile.ts';

interface Schema {
  readonly properties: Readonly<Record<string, Schema>>;
  readonly items: Schema;
  readonly required: readonly string[];
}

const folder = new URL('../../firmware-profiles/', import.meta.url);
const shipped = JSON.parse(await readFile(new URL('swtpm-development.json', folder), 'utf8')) as Profile;

/** The shipped profile with the value at a dotted path replaced. */
function faultsOf(changes: Readonly<Record<string, unknown>>): ProfileFault[] {
  const copy: unknown = structuredClone(shipped);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    let at = copy as Record<string, unknown>;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    at[last] = value;
  }
  const read = inspectProfile(Buffer.from(JSON.stringify(copy)));
  return 'faults' in read ? read.faults : [];
}

/** What a profile may say of a slot and leave out. */
const OPTIONAL_OF_SLOT = [
  'plannedChanges',
  'breakGlass',
  'floor',
  'commitAfterSeconds',
  'runtimeCommand',
  'healthCommand',
  'healthSeconds',
  'healthUser',
  'engine',
];

describe('firmware profiles', () => {
  it.each([
    [{ surplus: 1 }, 'there is no such field'],
    [{ id: undefined }, 'is missing'],
    [{ 'slots.0.onFailure': 'pray' }, 'must be "stop" or "last-good" or "degraded", and is "pray"'],
  ])('say of %j in words: %s', (changes, message) => {
    expect(faultsOf(changes).map((fault) => fault.message)).toContain(message);
  });

  it('takes every profile that is shipped', async () => {
    const files = (await readdir(folder)).filter((file) => file.endsWith('.json') && !file.endsWith('.schema.json'));
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) {
      const { profile } = loadProfile(await readFile(new URL(file, folder)), file);
      expect(`${profile.id}.json`).toBe(file);
    }
  });

  it('explains every profile that is shipped, and every choice that there is', async () => {
    const explained = await readFile(new URL('README.md', folder), 'utf8');
    const profiles = (await readdir(folder)).filter((file) => file.endsWith('.json') && !file.endsWith('.schema.json'));
    const choices = [
      'hardwareClass',
      'eventPcr',
      'bootPcrs',
      'ownership',
      'configs',
      'onFailure',
      'onLeaseExpired',
      'plannedChanges',
      'breakGlass',
      'breakGlassGid',
      'required',
      'runtime',
      'formats',
      'transfer',
      'maxDetectionSeconds',
      'attestEverySeconds',
      'leaseSeconds',
    ];
    for (const word of [...profiles.map((file) => `\`${file.replace('.json', '')}\``), ...choices]) {
      expect(explained).toContain(word);
    }
  });

  it.each([
    ['an event PCR that software can reset', 'tpm.eventPcr', 'tpm.eventPcr', 16],
    ['an event PCR that is also a boot PCR', 'tpm.eventPcr', 'tpm.eventPcr', 7],
    ['boot PCRs out of order', 'tpm.bootPcrs', 'tpm.bootPcrs', [7, 0]],
    ['a slot name with a path in it', 'slots.0.name', 'slots.0.name', '../x'],
    ['two slots of one name', 'slots', 'slots.1', shipped.slots[0]],
    [
      'a relative config path',
      'slots.0.configs.0.path',
      'slots.0.configs',
      [{ path: 'etc/x', sha256: '0'.repeat(64) }],
    ],
    [
      'a config path that climbs',
      'slots.0.configs.0.path',
      'slots.0.configs',
      [{ path: '/a/../x', sha256: '0'.repeat(64) }],
    ],
    ['a lease no longer than the interval', 'leaseSeconds', 'leaseSeconds', shipped.attestEverySeconds],
    ['a lease of nothing', 'leaseSeconds', 'leaseSeconds', 0],
    [
      'a trial longer than the lease that would end it',
      'slots.0.commitAfterSeconds',
      'slots.0',
      { ...shipped.slots[0], onLeaseExpired: 'stop', commitAfterSeconds: shipped.leaseSeconds },
    ],
    [
      'a glass where nothing is behind it',
      'slots.0.breakGlass',
      'slots.0',
      { ...shipped.slots[0], onLeaseExpired: 'continue', breakGlass: { maxSeconds: 60 } },
    ],
    ['a glass that stays broken', 'slots.0.breakGlass.maxSeconds', 'slots.0.breakGlass', { maxSeconds: 700_000 }],
    ['a group for a glass that is not there', 'breakGlassGid', 'breakGlassGid', 100],
    ['a program that is searched for', 'slots.0.healthCommand', 'slots.0.healthCommand', ['check.sh']],
    ['a compiler that nobody measures', 'slots.0.engine.command', 'slots.0.engine', { command: ['/opt/make'] }],
    [
      'a compiler beside the runtime',
      'slots.0.engine.command',
      'slots.0.engine',
      { command: ['/opt/runtime/../make'] },
    ],
    ['a format that may hold code', 'formats.0', 'formats', ['pickle']],
    ['a format twice', 'formats', 'formats', ['onnx', 'onnx']],
    ['no format at all', 'formats', 'formats', []],
    ['a transfer that never ends', 'transfer.bytesPerSecond', 'transfer', { bytesPerSecond: 1 }],
    ['a relative file of authorities', 'transfer.caFile', 'transfer', { caFile: 'ca.pem' }],
    ['an unknown field', 'extra', 'extra', 1],
    ['another version', 'v', 'v', 2],
  ])('refuses %s and names the field', (_title, field, path, value) => {
    expect(faultsOf({ [path]: value }).map((fault) => fault.field)).toContain(field);
  });

  it('names every fault at once, not only the first', () => {
    const faults = faultsOf({ 'tpm.eventPcr': 23, maxDetectionSeconds: 0, 'slots.0.onFailure': 'pray' });
    expect(faults.map((fault) => fault.field)).toEqual(
      expect.arrayContaining(['tpm.eventPcr', 'maxDetectionSeconds', 'slots.0.onFailure']),
    );
  });

  it('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect('faults' in inspectProfile(bytes)).toBe(true);
      }),
    );
  });

  it('quotes event and boot PCRs in ascending order', () => {
    expect(quotedPcrs({ ...shipped, tpm: { ...shipped.tpm, eventPcr: 3, bootPcrs: [0, 7] } })).toEqual([0, 3, 7]);
  });

  it('has a schema with the same fields and limits as the code', async () => {
    const schema = JSON.parse(await readFile(new URL('profile.schema.json', folder), 'utf8')) as Schema;
    expect(Object.keys(schema.properties).toSorted()).toEqual(
      [...Object.keys(shipped), 'breakGlassGid', 'floorMaxStep', 'formats', 'transfer'].toSorted(),
    );
    expect(Object.keys(schema.properties['tpm']?.properties ?? {}).toSorted()).toEqual(
      Object.keys(shipped.tpm).toSorted(),
    );
    const slot = schema.properties['slots']?.items;
    if (slot === undefined) throw new TypeError('the schema has no slots');
    const always = Object.keys(shipped.slots[0] ?? {}).toSorted();
    expect(Object.keys(slot.properties).toSorted()).toEqual([...always, ...OPTIONAL_OF_SLOT].toSorted());
    expect(slot.required.toSorted()).toEqual(always);
  });
});
