// The prediction is a function of profile and release alone, as far as devices are alike.
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/bytes/text.ts';
import { decodeEvent, replay, ZERO_PCR } from '../../src/cel/record.ts';
import type { Components } from '../../src/cel/events.ts';
import { installEvent, predictedLog, predictedPcr } from '../../src/rehearse/predict.ts';
import type { Install } from '../../src/rehearse/predict.ts';
import { TEST_PROFILE } from '../support/fleet.ts';

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const components = (fill: number): Components => ({
  agent: bytes(fill),
  node: bytes(fill),
  profile: bytes(fill),
  trust: bytes(fill),
  runtime: null,
  gateMode: 'none',
});
const install: Install = {
  slot: 'detector',
  release: {
    id: '11'.repeat(32),
    passport: { manifestDigest: '22'.repeat(32) },
    statement: { digest: Buffer.alloc(32, 3) },
  } as unknown as Install['release'],
};
const run = (fill: number): Parameters<typeof predictedLog>[2] => ({
  deviceId: `device-${fill}`,
  session: new Uint8Array(16).fill(fill),
  components: components(fill),
});

describe('the prediction', () => {
  test('gives every device the same event for an installation, and each its own PCR value', () => {
    const [one, other] = [1, 2].map((fill) => predictedLog(TEST_PROFILE, [install], run(fill)));
    expect(toHex(one?.at(-1)?.digest ?? bytes(0))).toBe(toHex(other?.at(-1)?.digest ?? bytes(9)));
    expect(toHex(predictedPcr(one ?? []))).not.toBe(toHex(predictedPcr(other ?? [])));
  });

  test('begins as a new device does: boot, start, and every slot measured as empty', () => {
    const log = predictedLog(TEST_PROFILE, [install], run(1));
    expect(log.map((record) => decodeEvent(record.content).type)).toEqual(['boot', 'agent-start', 'slot', 'slot']);
    expect(log.map((record) => record.recnum)).toEqual([1, 2, 3, 4]);
    expect(predictedPcr(log).equals(replay(ZERO_PCR, log))).toBe(true);
  });

  test('knows no slot that the profile lacks', () => {
    expect(() => installEvent(TEST_PROFILE, { ...install, slot: 'elsewhere' })).toThrow(RangeError);
  });
});
