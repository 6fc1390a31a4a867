// Whoever carries a receipt may keep, swap and repeat it: it counts once, for the device that made it, and only while nothing newer did.
import { createSecretKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AcceptedReceipt } from '../../src/controller/bundle-office.ts';
import { packUstar } from '../../src/files/ustar.ts';
import { packReceipt, readReceipt } from '../../src/protocol/bundle.ts';
import type { Receipt } from '../../src/protocol/bundle.ts';
import { readChallenge, sealChallenge } from '../../src/protocol/challenge.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { DAY } from '../release/publisher.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, rulesOf, trustOf } from '../support/members.ts';
import { startController } from '../support/running-controller.ts';
import type { RunningController } from '../support/running-controller.ts';
import type { Entry } from './carried.ts';

describe('a receipt', () => {
  let fleet: TestFleet;
  let broker: TestBroker;
  let controller: RunningController;
  let release: TestRelease;
  beforeAll(async () => {
    fleet = await makeTestFleet({ controller: { maxAgeSeconds: 1 } });
    release = await fleet.release();
    broker = await fleet.startBroker();
    controller = await startController(fleet);
  });
  afterAll(async () => {
    await controller[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
  });

  const DAYS = 30 * DAY;
  const make = async (id: string): Promise<{ challenge: Buffer; instruction: Buffer; order: number }> => {
    const made = await controller.controller.bundles.make(id, { release: release.id, slot: null, validForMs: DAYS });
    const [challenge, instruction] = [made.challenge, made.instruction].map((text) => Buffer.from(text, 'base64'));
    if (challenge === undefined || instruction === undefined) throw new TypeError('two');
    return { challenge, instruction, order: made.order };
  };
  const accept = async (evidence: Uint8Array): Promise<AcceptedReceipt> =>
    controller.controller.bundles.accept(evidence);

  test('counts once, gives the signed result, and no older one counts after it', async () => {
    const away = await member(controller, fleet, { release, silent: true });
    const [first, second] = [await make(away.device.id), await make(away.device.id)];
    expect(second.order).toBeGreaterThan(first.order);
    const [a, b] = [await away.device.evidence(first.challenge), await away.device.evidence(second.challenge)];
    const taken = await accept(a.message);
    expect(taken).toMatchObject({ id: away.device.id, accepted: true });
    const keys = trustOf(fleet).resultKeys;
    expect(openStatement('result', Buffer.from(taken.result ?? ''), keys)).toMatchObject({ deviceId: away.device.id });
    expect(await accept(a.message)).toMatchObject({ accepted: false, why: 'superseded', result: null });
    expect(await accept(b.message)).toMatchObject({ accepted: false, why: 'superseded' });
  });

  test('is superseded by whatever the device proved over the broker since', async () => {
    const away = await member(controller, fleet, { release });
    const { challenge } = await make(away.device.id);
    const { message } = await away.device.evidence(challenge);
    await controller.controller.operator.ask(away.device.id);
    expect(rulesOf(await away.result())).toEqual(['tier-software']);
    expect(await accept(message)).toMatchObject({ accepted: false, why: 'superseded' });
  });

  test('of another device is not this one’s', async () => {
    const [mine, other] = [
      await member(controller, fleet, { release, silent: true }),
      await member(controller, fleet, { release, silent: true }),
    ];
    const { challenge } = await make(mine.device.id);
    const { message } = await other.device.evidence(challenge);
    expect(await accept(message)).toMatchObject({ id: mine.device.id, accepted: false, why: 'quote-signature' });
  });

  test('for a challenge that was given another life or another fleet’s key is none of ours', async () => {
    const away = await member(controller, fleet, { release, silent: true });
    const { challenge } = await make(away.device.id);
    const longer = { ...readChallenge(challenge), validFor: 365 * DAY };
    const forged = sealChallenge(longer, createSecretKey(Buffer.alloc(32, 9)));
    expect(await accept((await away.device.evidence(forged)).message)).toMatchObject({
      accepted: false,
      why: 'challenge-mac',
    });
  });

  test('of a device that the controller does not know is refused before anything else', async () => {
    const away = await member(controller, fleet, { release, silent: true });
    const { challenge } = await make(away.device.id);
    const strange = sealChallenge(
      { ...readChallenge(challenge), deviceId: 'nobody' },
      createSecretKey(Buffer.alloc(32, 9)),
    );
    await expect(accept((await away.device.evidence(strange)).message)).rejects.toThrow('no device has the id nobody');
  });

  test('is an archive of its own form, and nothing else is read as one', async () => {
    const good = { logParts: [Buffer.from('one'), Buffer.from('two')], evidence: Buffer.from('evidence') };
    const read = async (bytes: Buffer): Promise<Receipt> =>
      readReceipt(
        (async function* () {
          yield bytes;
        })(),
      );
    expect(await read(packReceipt(good))).toEqual(good);
    const others: Entry[][] = [
      [],
      [
        { name: 'log/1', bytes: Buffer.alloc(1) },
        { name: 'evidence', bytes: Buffer.alloc(1) },
      ],
      [
        { name: 'evidence', bytes: Buffer.alloc(1) },
        { name: 'more', bytes: Buffer.alloc(1) },
      ],
      [{ name: 'evidence', bytes: Buffer.alloc(400_000) }],
    ];
    for (const entries of others) await expect(read(packUstar(entries))).rejects.toMatchObject({ name: 'WireError' });
  });
});
