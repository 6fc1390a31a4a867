// Boot PCRs are read once, and whatever happens to them afterwards, evidence says what its quote shows.
import { describe, expect, test } from 'vitest';
import { BootPcrs } from '../../src/agent/boot-pcrs.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import type { PcrSelection, Quote } from '../../src/tpm/port.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';

const EVENT_PCR = 14;
const SELECTION = { bank: 'sha256', pcrs: [0, 7, EVENT_PCR] } as const;
const ZERO = Buffer.alloc(32);

interface Made {
  readonly quote: Quote;
  readonly values: readonly Buffer[];
  /** What the maker says of the event PCR in that quote. */
  readonly showsEvent: boolean;
}

/** Asks for evidence as the evidence maker does; `commands` counts what the TPM was asked. */
function device() {
  const tpm = new FakeTpm();
  const commands: string[] = [];
  tpm.onCommand = (name) => {
    commands.push(name);
  };
  const bootPcrs = new BootPcrs(EVENT_PCR);
  const ask = async (selection: PcrSelection = SELECTION, event: Uint8Array = ZERO): Promise<Made> => {
    const { made, showsEvent } = await bootPcrs.quote(tpm, selection, event, async (values) => ({
      values,
      quote: await tpm.quote(ZERO, selection),
    }));
    return { ...made, showsEvent };
  };
  return { tpm, commands, ask };
}

/** The quote shows these boot values and this event PCR. */
function fits({ quote, values }: Made, event: Uint8Array = ZERO): boolean {
  return quote.attest.subarray(-32).equals(sha256(...values, event));
}

describe('boot PCRs', () => {
  test('are read for the first quote, and not for the next', async () => {
    const { commands, ask } = device();
    expect(fits(await ask())).toBe(true);
    expect(fits(await ask())).toBe(true);
    expect(commands).toEqual(['readPcrs', 'quote', 'quote']);
  });

  test.each([0, 7])('that somebody extended meanwhile are read again: PCR %i', async (pcr) => {
    const { tpm, commands, ask } = device();
    await ask();
    tpm.foreignExtend(pcr);
    expect(fits(await ask())).toBe(true);
    expect(fits(await ask())).toBe(true);
    expect(commands).toEqual(['readPcrs', 'quote', 'quote', 'readPcrs', 'quote', 'quote']);
  });

  test('are read again after the TPM was reset under the agent', async () => {
    const { tpm, ask } = device();
    tpm.foreignExtend(7);
    await ask();
    tpm.reset();
    const made = await ask();
    expect(made.values).toEqual([ZERO, ZERO]);
    expect(fits(made)).toBe(true);
  });

  test('follow the event PCR that the log leads to', async () => {
    const { tpm, commands, ask } = device();
    await ask();
    const digest = Buffer.alloc(32, 1);
    await tpm.extendPcr(EVENT_PCR, digest);
    const event = sha256(ZERO, digest);
    const made = await ask(SELECTION, event);
    expect(fits(made, event)).toBe(true);
    expect(made.showsEvent).toBe(true);
    expect(commands.filter((name) => name === 'readPcrs')).toHaveLength(1);
  });

  test('of a quote that the log does not explain are not remembered, and cost one quote each time', async () => {
    const { tpm, commands, ask } = device();
    tpm.foreignExtend(EVENT_PCR);
    expect((await ask()).showsEvent).toBe(false);
    expect((await ask()).showsEvent).toBe(false);
    expect(commands).toEqual(['readPcrs', 'quote', 'readPcrs', 'quote']);
  });

  test('of another selection are others', async () => {
    const { tpm, ask } = device();
    tpm.foreignExtend(2);
    await ask();
    expect(fits(await ask({ bank: 'sha256', pcrs: [2, 7, EVENT_PCR] }))).toBe(true);
  });

  test('are not read where none is asked for', async () => {
    const { commands, ask } = device();
    const made = await ask({ bank: 'sha256', pcrs: [EVENT_PCR] });
    expect(made.values).toEqual([]);
    expect(commands).toEqual(['quote']);
  });

  test('are no word on the event PCR where a challenge does not ask for it, or for another bank', async () => {
    const { tpm, ask } = device();
    tpm.foreignExtend(EVENT_PCR);
    expect((await ask({ bank: 'sha256', pcrs: [0, 7] })).showsEvent).toBe(false);
    expect((await ask({ bank: 'sha256', pcrs: [0, 7] })).showsEvent).toBe(false);
    expect((await ask({ bank: 'sha384', pcrs: [0, 7, EVENT_PCR] })).showsEvent).toBe(false);
  });
});
