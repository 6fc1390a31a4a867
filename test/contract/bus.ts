// The one suite that every Bus must pass.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Bus, BusMessage } from '../../src/bus/bus.ts';

/** Two connected clients of one broker: a device of id DEVICE, and a controller. */
export interface BusPair {
  readonly device: Bus;
  readonly controller: Bus;
}

export const DEVICE = 'abcdefghijklmnopqrstuvwxyz234567';

/** Messages as they come, and a way to wait for the next one. */
export function inbox(): {
  readonly take: (message: BusMessage) => void;
  readonly next: () => Promise<BusMessage>;
  readonly all: BusMessage[];
} {
  const all: BusMessage[] = [];
  let seen = 0;
  let wake: () => void = () => {};
  return {
    all,
    take: (message) => {
      all.push(message);
      wake();
    },
    next: async () => {
      while (all[seen] === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const message = all[seen++];
      if (message === undefined) throw new TypeError('a message was there');
      return message;
    },
  };
}

export function busContract(title: string, open: () => Promise<BusPair>): void {
  const opened = async (): Promise<BusPair> => {
    const pair = await open();
    onTestFinished(async () => {
      await pair.device[Symbol.asyncDispose]();
      await pair.controller[Symbol.asyncDispose]();
    });
    return pair;
  };

  describe(`a bus: ${title}`, () => {
    it('is connected when it was opened', async () => {
      const { device, controller } = await opened();
      expect([device.connected, controller.connected]).toEqual([true, true]);
    });

    it('delivers the exact bytes, in order, to who subscribed', async () => {
      const { device, controller } = await opened();
      const got = inbox();
      await controller.subscribe('touchstone/1/c/+/evidence', got.take);
      const payloads = [Buffer.alloc(0), Buffer.from([0, 255, 1]), Buffer.alloc(256 * 1024, 7)];
      for (const payload of payloads) await device.publish(`touchstone/1/c/${DEVICE}/evidence`, payload);
      for (const payload of payloads) {
        const message = await got.next();
        expect(message.topic).toBe(`touchstone/1/c/${DEVICE}/evidence`);
        expect(message.payload.equals(payload)).toBe(true);
      }
    });

    it('delivers what is sent at most once too, in order', async () => {
      const { device, controller } = await opened();
      const got = inbox();
      await device.subscribe(`touchstone/1/d/${DEVICE}/result`, got.take);
      for (let i = 0; i < 300; i++) {
        await controller.publish(`touchstone/1/d/${DEVICE}/result`, Buffer.from(String(i)), { atMostOnce: true });
      }
      for (let i = 0; i < 300; i++) expect((await got.next()).payload.toString()).toBe(String(i));
    });

    it('gives a handler only what its filter matches', async () => {
      const { device, controller } = await opened();
      const [evidence, status] = [inbox(), inbox()];
      await controller.subscribe('touchstone/1/c/+/evidence', evidence.take);
      await controller.subscribe('touchstone/1/c/+/status', status.take);
      await device.publish(`touchstone/1/c/${DEVICE}/status`, Buffer.from('s'));
      await device.publish(`touchstone/1/c/${DEVICE}/evidence`, Buffer.from('e'));
      expect((await evidence.next()).payload.toString()).toBe('e');
      expect((await status.next()).payload.toString()).toBe('s');
      expect([evidence.all.length, status.all.length]).toEqual([1, 1]);
    });

    it('delivers to a shared subscription once, whoever of the group gets it', async () => {
      const { device, controller } = await opened();
      const [one, other, all] = [inbox(), inbox(), inbox()];
      await controller.subscribe('touchstone/1/c/+/log', one.take, { shared: 'controllers' });
      await controller.subscribe('touchstone/1/c/+/enrol', other.take, { shared: 'controllers' });
      await controller.subscribe('touchstone/1/c/+/status', all.take);
      for (let i = 0; i < 10; i++) await device.publish(`touchstone/1/c/${DEVICE}/log`, Buffer.from([i]));
      await device.publish(`touchstone/1/c/${DEVICE}/status`, Buffer.from('end'));
      await all.next();
      for (let i = 0; i < 10; i++) expect((await one.next()).payload).toEqual(Buffer.from([i]));
      expect([one.all.length, other.all.length]).toEqual([10, 0]);
    });

    it('refuses to publish after it was closed', async () => {
      const { device } = await opened();
      await device[Symbol.asyncDispose]();
      await expect(device.publish(`touchstone/1/c/${DEVICE}/status`, Buffer.alloc(1))).rejects.toMatchObject({
        code: 'BUS_UNAVAILABLE',
      });
    });
  });
}
