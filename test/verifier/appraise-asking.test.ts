// The judgement whose signature is verified elsewhere: the same as the other one, and bought by nobody with garbage.
import { afterAll, expect, test } from 'vitest';
import { KeyThreads } from '../../src/crypto/key-threads.ts';
import { appraise, appraiseAsking } from '../../src/verifier/appraise.ts';
import { askedChecks } from '../../src/verifier/checks/asked.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { contentAttacks } from './content-attacks.ts';
import { build } from './evidence-builder.ts';
import { quoteAttacks } from './quote-attacks.ts';

const keys = new KeyThreads({ threads: 1 });
afterAll(async () => keys[Symbol.asyncDispose]());

const attacks = [...quoteAttacks, ...contentAttacks];

/** How often a key was asked meanwhile. */
async function asksOf(input: AppraisalInput): Promise<number> {
  let asked = 0;
  await appraiseAsking(async (...question) => {
    asked += 1;
    return keys.verify(...question);
  }, input);
  return asked;
}

test('genuine evidence is judged the same, for one signature', async () => {
  const input = build();
  expect(await appraiseAsking(keys.verify, input)).toEqual(appraise(input));
  expect(await asksOf(input)).toBe(1);
});

test.each(attacks)('$attack is judged the same', async ({ bend }) => {
  const input = build(bend());
  expect(await appraiseAsking(keys.verify, input)).toEqual(appraise(input));
});

const unasked = attacks.filter((attack) => askedChecks.some(({ name }) => name === attack.check));

test.each(unasked)('$attack asks no key', async ({ bend }) => {
  expect(await asksOf(build(bend()))).toBe(0);
});

test('neither does what cannot be read', async () => {
  const junk = Buffer.from('ff00ff', 'hex');
  expect(await asksOf({ ...build(), evidence: junk })).toBe(0);
  expect(await asksOf(build({ signature: () => junk }))).toBe(0);
});

test('what is no input at all is a bug here as there', async () => {
  await expect(appraiseAsking(keys.verify, { ...build(), evidence: null as never })).rejects.toThrow(TypeError);
});
