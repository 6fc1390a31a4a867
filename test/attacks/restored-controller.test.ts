// A controller whose registry was put back from yesterday: it notices, says what is missing, trusts no old challenge, and blames no device.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { upTopic } from '../../src/bus/bus.ts';
import { ChallengeKeys } from '../../src/controller/challenge-keys.ts';
import { readChallenge } from '../../src/protocol/challenge.ts';
import { decodeEvidence } from '../../src/protocol/codec.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, rulesOf } from '../support/members.ts';
import type { Member } from '../support/members.ts';
import { PostgresServer } from '../support/postgres.ts';
import { startController } from '../support/running-controller.ts';
import type { RunningController } from '../support/running-controller.ts';

/** Keeps the registry of a fleet as it is now, and gives the means to put it back; its controller is stopped. */
type Copy = () => () => void;

function filesOf(fleet: TestFleet): Copy {
  const files = (): string[] => readdirSync(fleet.controllerDir).filter((name) => name.startsWith('registry.sqlite'));
  return () => {
    const kept = mkdtempSync(join(tmpdir(), 'copy-'));
    onTestFinished(() => {
      rmSync(kept, { recursive: true, force: true });
    });
    for (const name of files()) cpSync(join(fleet.controllerDir, name), join(kept, name));
    return () => {
      for (const name of files()) rmSync(join(fleet.controllerDir, name));
      cpSync(kept, fleet.controllerDir, { recursive: true });
    };
  };
}

function dumpOf(server: PostgresServer, address: string): Copy {
  return () => {
    const putBack = server.dump(address);
    return () => {
      putBack(address);
    };
  };
}

describe.each(['SQLite', 'PostgreSQL'])('in %s', (where) => {
  let fleet: TestFleet;
  let broker: TestBroker;
  let release: TestRelease;
  let server: PostgresServer | null = null;
  let copyOfRegistry: Copy;
  beforeAll(async () => {
    server = where === 'PostgreSQL' ? await PostgresServer.start() : null;
    const registry = server?.database();
    fleet = await makeTestFleet(registry === undefined ? {} : { controller: { registry } });
    copyOfRegistry = registry === undefined || server === null ? filesOf(fleet) : dumpOf(server, registry);
    release = await fleet.release();
    broker = await fleet.startBroker();
  });
  afterAll(async () => {
    await broker[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  async function verdict(controller: RunningController, { device, result }: Member): Promise<string[]> {
    await controller.controller.operator.ask(device.id);
    return rulesOf(await result());
  }

  interface Yesterday {
    readonly one: Member;
    readonly putBack: () => void;
  }

  /** A device is let in, yesterday is copied, and then much happens. */
  async function yesterday(): Promise<Yesterday> {
    const first = await startController(fleet);
    const one = await member(first, fleet, { release });
    await verdict(first, one);
    await first[Symbol.asyncDispose]();
    const putBack = copyOfRegistry();
    const second = await startController(fleet);
    for (let i = 0; i < 3; i++) {
      await one.device.install(release, 'measured');
      await verdict(second, one);
    }
    await second[Symbol.asyncDispose]();
    return { one, putBack };
  }

  describe('a registry from yesterday', () => {
    test('is noticed at the start: the gap is said, tokens are void, every device is asked for all, and none is blamed', async () => {
      const { one, putBack } = await yesterday();
      putBack();
      await using controller = await startController(fleet);
      const { gap } = await controller.controller.health();
      expect(gap?.from).toBeGreaterThan(0);
      expect(controller.lines.join('\n')).toContain('registry-restored');
      expect(await verdict(controller, one)).toEqual(['tier-software']);
      expect((await controller.registry.device(one.device.id))?.trouble).toBeNull();
      const history = await controller.registry.history(one.device.id, 20);
      expect(history.filter(({ kind }) => kind === 'restored')).toHaveLength(1);
      // A second start says it no more.
      await controller[Symbol.asyncDispose]();
      await using again = await startController(fleet);
      expect((await again.controller.health()).gap).toBeNull();
    });

    test('takes no evidence for a challenge of before, however well it fits the row', async () => {
      const first = await startController(fleet);
      const one = await member(first, fleet, { release, silent: true });
      const next = await one.device.challenges(one.bus);
      const putBack = await (async () => {
        await first[Symbol.asyncDispose]();
        return copyOfRegistry();
      })();
      const second = await startController(fleet);
      await second.controller.operator.ask(one.device.id);
      const old = await one.device.evidence(await next());
      await one.bus.publish(upTopic(one.device.id, 'evidence'), old.message);
      await one.result();
      await second[Symbol.asyncDispose]();
      putBack();
      await using controller = await startController(fleet);
      expect((await controller.registry.device(one.device.id))?.row.generation).toBe(0);
      await one.bus.publish(upTopic(one.device.id, 'evidence'), old.message);
      while (!((await controller.controller.health()).evidence.refused['challenge-mac'] ?? 0)) await sleep(5);
      expect((await controller.registry.device(one.device.id))?.row.generation).toBe(0);
      await controller.controller.operator.ask(one.device.id);
      for (;;) {
        const sealed = await next();
        if (readChallenge(sealed).kid === readChallenge(Buffer.from(decodeEvidence(old.message).challenge)).kid)
          continue;
        expect(readChallenge(sealed)).toMatchObject({ epoch: null, afterSeq: 0 });
        await one.bus.publish(upTopic(one.device.id, 'evidence'), (await one.device.evidence(sealed)).message);
        break;
      }
      expect(rulesOf(await one.result())).toEqual(['tier-software']);
    });

    test('is noticed by a device that is ahead of it, where nothing else was kept', async () => {
      const { one, putBack } = await yesterday();
      const third = await startController(fleet);
      const next = await one.device.challenges(one.bus);
      await third.controller.operator.ask(one.device.id);
      const ahead = await one.device.evidence(await next());
      await third[Symbol.asyncDispose]();
      putBack();
      rmSync(join(fleet.controllerDir, 'registry.mark'));
      await using controller = await startController(fleet);
      expect((await controller.controller.health()).gap).toBeNull();
      await one.bus.publish(upTopic(one.device.id, 'evidence'), ahead.message);
      while ((await controller.controller.health()).gap === null) await sleep(5);
      expect(await verdict(controller, one)).toEqual(['tier-software']);
      expect((await controller.registry.device(one.device.id))?.trouble).toBeNull();
    });

    test('gives commands in an order above all that devices may have seen', async () => {
      const { one, putBack } = await yesterday();
      const two = await fleet.release({ version: '2.0.0', securityVersion: 2 });
      const give = async (controller: RunningController): Promise<number> => {
        await controller.controller.operator.upgrade([one.device.id], { release: two.id, slot: null, source: null });
        const given = await controller.registry.commands(one.device.id);
        return Math.max(...given.map(({ body }) => (JSON.parse(body) as { order: number }).order));
      };
      const third = await startController(fleet);
      let before = 0;
      for (let i = 0; i < 3; i++) before = await give(third);
      await third[Symbol.asyncDispose]();
      putBack();
      await using controller = await startController(fleet);
      expect(await give(controller)).toBeGreaterThan(before);
    });
  });
});

test('each life of a registry has a challenge key of its own, and the same one with all controllers', () => {
  const base = Buffer.alloc(32, 1);
  const [one, two] = [new ChallengeKeys(base), new ChallengeKeys(base)];
  const lives = [null, Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const kids = lives.map((life) => {
    one.use(life);
    two.use(life);
    expect(one.key.equals(two.key)).toBe(true);
    expect([...one.keys.keys()]).toEqual([one.kid]);
    return one.kid;
  });
  expect(new Set(kids).size).toBe(lives.length);
});
