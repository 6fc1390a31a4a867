// The part of the suite for every Registry that is about what newcomers bring and leave: credentials, one-time tokens.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Registry } from '../../src/controller/registry.ts';
import { Tokens } from '../../src/controller/tokens.ts';

/** `opened` opens one registry so many times. */
export function enrolmentContract(name: string, opened: (count: number) => Promise<Registry[]>): void {
  describe(`${name} is a registry: what newcomers bring`, () => {
    it('a token is good once, among all controllers, and until its time', async () => {
      const [one, two] = (await opened(2)).map((registry) => new Tokens(registry));
      if (one === undefined || two === undefined) throw new Error('two were asked for');
      const tokens = await Promise.all(Array.from({ length: 20 }, async (_, i) => one.issue(`line ${i}`, 1000)));
      const taken = await Promise.all(tokens.flatMap((token) => [one.take(token, 1000), two.take(token, 1000)]));
      expect(taken.filter((of) => of !== null).toSorted()).toEqual(tokens.map((_, i) => `line ${i}`).toSorted());
      const late = await two.issue('late', 1000);
      expect([await one.take(late, 1001), await two.take(late, 1000)]).toEqual([null, 'late']);
    });

    it('a token is void when the registry was put back from a copy: it may have been used since', async () => {
      const [registry] = await opened(1);
      if (registry === undefined) throw new Error('one was asked for');
      const tokens = new Tokens(registry);
      const token = await tokens.issue('line', 1000);
      expect(await registry.beginLife(randomBytes(16), randomBytes(16), 5, 'another life')).toBe(false);
      const kept = await tokens.issue('kept', 1000);
      expect(await tokens.take(kept, 1)).toBe('kept');
      expect(await registry.beginLife(null, randomBytes(16), 5, 'put back')).toBe(true);
      expect(await tokens.take(token, 1)).toBe(null);
    });

    it('keeps the newest credentials, none of them for ever', async () => {
      const [registry] = await opened(1);
      if (registry === undefined) throw new Error('one was asked for');
      const credential = (n: number) => {
        const request = Buffer.alloc(32);
        request.writeUInt32BE(n);
        return { request, bytes: Buffer.from('request'), secret: Buffer.alloc(32, 1), at: n };
      };
      for (let n = 1; n <= 1030; n++) await registry.putCredential(credential(n), 0);
      expect(await registry.credential(credential(1).request)).toBe(null);
      expect(await registry.credential(credential(1000).request)).toEqual(credential(1000));
      await registry.putCredential(credential(2000), 1010);
      expect(await registry.credential(credential(1000).request)).toBe(null);
      await registry.dropCredential(credential(1020).request);
      expect(await registry.credential(credential(1020).request)).toBe(null);
      expect(await registry.credential(credential(1021).request)).toEqual(credential(1021));
    });
  });
}
