// The firmware's event log: read whole or refused, replayed to the PCRs, explained without believing more than its digests prove.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readFirmwareLog } from '../../src/boot/event-log.ts';
import { explainFirmwareLog, secureBootOf } from '../../src/boot/explain.ts';
import { replayFirmwareLog, unexplainedPcrs } from '../../src/boot/pcr-replay.ts';
import { WireError } from '../../src/errors.ts';
import {
  EV,
  event,
  firmwareLog,
  header,
  HONEST,
  secureBoot,
  separator,
  sha256,
  sized,
  u16,
  u32,
  variable,
  thrownBy,
} from './log-builder.ts';
import type { EventParts } from './log-builder.ts';

const ZERO = Buffer.alloc(32);
const honest = firmwareLog(...HONEST);
/** The data of the event that says so. */
const secureBootOn = HONEST[1]?.data ?? ZERO;

/** PCR value after these digests. */
function extended(start: Uint8Array, ...digests: readonly Uint8Array[]): Buffer {
  let value: Buffer = Buffer.from(start);
  for (const digest of digests) value = sha256(value, digest);
  return value;
}

describe('replay', () => {
  test('gives each PCR the digests of its events in the order of the log', () => {
    const values = replayFirmwareLog(readFirmwareLog(honest));
    const end = sha256(Buffer.alloc(4));
    const calling = sha256(Buffer.from('Calling EFI Application from Boot Option'));
    expect(values.get(4)).toEqual(extended(ZERO, calling, end, sha256(Buffer.from('kernel'))));
    expect(values.get(9)).toEqual(extended(ZERO, sha256(Buffer.from('initrd'))));
    expect(values.get(8)).toEqual(ZERO);
    expect([...values.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('begins PCR 0 at the locality that started the TPM, when the log says so first', () => {
    const startup = { pcr: 0, type: EV.noAction, data: Buffer.from('StartupLocality\0\u0003'), digest: ZERO };
    const values = replayFirmwareLog(readFirmwareLog(firmwareLog(startup, separator(0))));
    expect(values.get(0)).toEqual(extended(Buffer.from(ZERO).fill(3, 31), sha256(Buffer.alloc(4))));
  });

  test.each([
    ['twice', [3, 3], true],
    ['after an event of PCR 0', [3], false],
    ['of a locality that starts no TPM', [2], true],
  ])('refuses a startup locality %s', (_, localities, first) => {
    const told = localities.map((locality) => ({
      pcr: 0,
      type: EV.noAction,
      data: Buffer.from([...Buffer.from('StartupLocality\0'), locality]),
      digest: ZERO,
    }));
    const log = readFirmwareLog(firmwareLog(...(first ? told : []), separator(0), ...(first ? [] : told)));
    expect(() => replayFirmwareLog(log)).toThrow(WireError);
  });

  test('extends nothing for an information event, whatever digest it shows', () => {
    const information = { pcr: 3, type: EV.noAction, data: Buffer.from('x') };
    expect(replayFirmwareLog(readFirmwareLog(firmwareLog(information))).get(3)).toEqual(ZERO);
  });

  test('names every quoted PCR that the log does not explain, also one it does not know', () => {
    const replayed = replayFirmwareLog(readFirmwareLog(honest));
    const quoted = new Map([...replayed, [4, sha256(Buffer.from('other'))], [11, ZERO]]);
    expect(unexplainedPcrs(replayed, replayed)).toEqual([]);
    expect(unexplainedPcrs(replayed, quoted).map(({ pcr, replayed: own }) => [pcr, own === null])).toEqual([
      [4, false],
      [11, true],
    ]);
  });

  test('misses the quoted value when any bit of any digest, or any PCR number, was changed', () => {
    const quoted = replayFirmwareLog(readFirmwareLog(honest));
    for (const [at, parts] of HONEST.entries()) {
      const digest = Buffer.from(parts.digest ?? sha256(parts.data));
      digest[at % 32] = (digest[at % 32] ?? 0) ^ 1;
      for (const bent of [
        { ...parts, digest },
        { ...parts, pcr: parts.pcr === 8 ? 6 : 8 },
      ]) {
        const log = firmwareLog(...HONEST.slice(0, at), bent, ...HONEST.slice(at + 1));
        expect(unexplainedPcrs(replayFirmwareLog(readFirmwareLog(log)), quoted)).not.toEqual([]);
      }
    }
  });
});

describe('a log is refused', () => {
  const first = event({ pcr: 0, type: EV.action, data: Buffer.from('a') });
  const twoBanks = header([
    [0x04, 20],
    [0x0b, 32],
  ]);
  const twoDigests = (a: number, b: number): Buffer =>
    Buffer.concat([
      u32(0),
      u32(5),
      u32(2),
      u16(a),
      Buffer.alloc(a === 4 ? 20 : 32),
      u16(b),
      Buffer.alloc(b === 4 ? 20 : 32),
      u32(0),
    ]);
  test.each<[string, Buffer]>([
    ['without a header', first],
    ['of nothing', Buffer.alloc(0)],
    ['with a header that names no SHA-256', header([[0x0c, 48]])],
    ['with a digest size of the writer’s own choice, which would move every later field', header([[0x0b, 20]])],
    [
      'with an algorithm twice in its header',
      header([
        [0x0b, 32],
        [0x0b, 32],
      ]),
    ],
    [
      'with an algorithm that nobody knows',
      header([
        [0x0b, 32],
        [0x99, 32],
      ]),
    ],
    [
      'with bytes hidden after the vendor’s in its header',
      Buffer.concat([header().subarray(0, 28), sized(header().subarray(32), Buffer.from('x'))]),
    ],
    ['whose event has fewer digests than the header says', Buffer.concat([twoBanks, first])],
    ['whose event repeats an algorithm', Buffer.concat([twoBanks, twoDigests(0x0b, 0x0b)])],
    ['whose event has a digest of another algorithm', Buffer.concat([twoBanks, twoDigests(0x0b, 0x0c)])],
    ['with a PCR that does not exist', firmwareLog({ pcr: 24, type: EV.action, data: Buffer.alloc(0) })],
    ['with bytes after the last event', Buffer.concat([honest, Buffer.from([0])])],
    [
      'with an event larger than any',
      Buffer.concat([header(), u32(0), u32(5), u32(1), u16(0x0b), ZERO, u32(0xffffffff)]),
    ],
    ['larger than any', Buffer.alloc(9 * 1024 * 1024)],
    ['of more events than any', Buffer.concat([header(), ...Array.from({ length: 16_385 }, () => first)])],
  ])('%s', (_, bytes) => {
    expect(() => readFirmwareLog(bytes)).toThrow(WireError);
  });

  test('that lists digests of two banks is read, in either order', () => {
    for (const order of [twoDigests(4, 0x0b), twoDigests(0x0b, 4)]) {
      expect(readFirmwareLog(Buffer.concat([twoBanks, order])).events).toHaveLength(1);
    }
  });

  test('at every truncation except between two events', () => {
    const ends = new Set<number>([header().length]);
    for (let at = 0, length = header().length; at < HONEST.length; at += 1) {
      const parts = HONEST[at];
      if (parts !== undefined) ends.add((length += event(parts).length));
    }
    for (let length = 0; length < honest.length; length += 1) {
      if (ends.has(length)) continue;
      expect(() => readFirmwareLog(honest.subarray(0, length))).toThrow(WireError);
    }
  });

  test('or read, whatever the bytes are: nothing else is thrown', () => {
    const bent = fc
      .tuple(fc.nat(honest.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }))
      .map(([at, bytes]) => Buffer.concat([honest.subarray(0, at), bytes, honest.subarray(at + bytes.length)]));
    const any = fc.oneof(
      bent,
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([header(), bytes])),
    );
    fc.assert(
      fc.property(any, (bytes) => {
        const thrown = thrownBy(() => {
          const log = readFirmwareLog(bytes);
          explainFirmwareLog(log);
          secureBootOf(log);
          replayFirmwareLog(log);
        });
        expect(thrown === null || thrown instanceof WireError).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an explanation', () => {
  test('says which data is what was measured, and which is only told', () => {
    const events = explainFirmwareLog(readFirmwareLog(honest));
    expect(events.find(({ type }) => type === 'EV_EFI_VARIABLE_DRIVER_CONFIG')).toMatchObject({
      detail: 'SecureBoot = on',
      bound: true,
    });
    expect(events.find(({ type }) => type === 'EV_EFI_BOOT_SERVICES_APPLICATION')).toMatchObject({
      detail: 'path of the kernel',
      bound: false,
      afterSeparator: true,
    });
  });

  test('is given for a type that is not known, and for data that is not of its type’s form', () => {
    const log = firmwareLog(
      { pcr: 1, type: 0x12345678, data: Buffer.from([1, 2, 3]) },
      { pcr: 7, type: EV.variable, data: Buffer.from('short') },
    );
    const [unknown, broken] = explainFirmwareLog(readFirmwareLog(log));
    expect(unknown).toMatchObject({ type: '0x12345678', meaning: 'a type that is not known', detail: '3 bytes' });
    expect(broken?.detail).toMatch(/not of their type's form/);
  });

  test('counts the entries of a signature database, and refuses one whose header could hide bytes', () => {
    const sha = Buffer.from('2616c4c14c509240aca941f936934328', 'hex');
    const list = (headerSize: number, body: Buffer): Buffer =>
      Buffer.concat([
        sha,
        u32(28 + headerSize + body.length),
        u32(headerSize),
        u32(48),
        Buffer.alloc(headerSize),
        body,
      ]);
    const words = (database: Buffer): string | undefined =>
      explainFirmwareLog(readFirmwareLog(firmwareLog({ pcr: 7, type: EV.variable, data: variable('db', database) })))[0]
        ?.detail;
    expect(words(list(0, Buffer.alloc(96)))).toBe('db: 0 certificates, 2 digests');
    expect(words(list(48, Buffer.alloc(48)))).toMatch(/signature header of 48 bytes/);
    expect(words(list(0, Buffer.alloc(50)))).toMatch(/a list of 78 bytes/);
  });
});

describe('secure boot is', () => {
  const verdict = (...events: readonly EventParts[]): string => secureBootOf(readFirmwareLog(firmwareLog(...events)));
  const unbound = { ...secureBoot(true), digest: sha256(Buffer.from('x')) };
  test.each([
    ['on', 'measured so before the separator', [secureBoot(true), separator(7)]],
    ['off', 'measured so before the separator', [secureBoot(false), separator(7)]],
    ['unclear', 'said by data that is not what was measured', [unbound, separator(7)]],
    ['unclear', 'said only after the separator, where others write', [separator(7), secureBoot(true)]],
    ['off', 'measured off, whatever is said after the separator', [secureBoot(false), separator(7), secureBoot(true)]],
    [
      'off',
      'measured off, when the log calls that and the separator something else, and what was started says on',
      [
        { ...secureBoot(false), type: EV.action },
        { ...separator(7), type: EV.action, data: Buffer.from('x'), digest: sha256(Buffer.alloc(4)) },
        secureBoot(true),
        separator(7),
      ],
    ],
    ['unclear', 'said without a separator', [secureBoot(true)]],
    ['unclear', 'said in another PCR', [{ ...secureBoot(true), pcr: 6 }, separator(7)]],
    ['unclear', 'said both ways', [secureBoot(false), secureBoot(true), separator(7)]],
    ['unclear', 'never said', [separator(7)]],
    [
      'on',
      'measured so under another type, which nothing proves',
      [{ ...secureBoot(true), type: EV.authority }, separator(7)],
    ],
  ] as const)('%s when it is %s', (expected, _, events) => {
    expect(verdict(...events)).toBe(expected);
  });

  test('never on for a log of a boot with it off, whatever types and data the log is given and whatever came after', () => {
    const after = [secureBoot(true), separator(7)];
    const genuine = [...HONEST.map((parts) => (parts.data === secureBootOn ? secureBoot(false) : parts)), ...after];
    const quoted = replayFirmwareLog(readFirmwareLog(firmwareLog(...genuine)));
    const types = [EV.action, EV.separator, EV.variable, EV.authority, EV.noAction, 0x12345678];
    for (const [at, parts] of genuine.entries()) {
      for (const type of types) {
        for (const data of [parts.data, Buffer.alloc(0), secureBootOn]) {
          const bent = { pcr: parts.pcr, type, data, digest: parts.digest ?? sha256(parts.data) };
          const log = readFirmwareLog(firmwareLog(...genuine.slice(0, at), bent, ...genuine.slice(at + 1)));
          const explained = unexplainedPcrs(replayFirmwareLog(log), quoted).length === 0;
          expect(explained && secureBootOf(log) === 'on').toBe(false);
        }
      }
    }
  });
});
