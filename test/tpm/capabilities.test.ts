// Lists that a TPM tells in several answers, and answers that it must not give.
import { expect, test } from 'vitest';
import { readHandles, readProperties } from '../../src/tpm/commands/capabilities.ts';
import { CommandQueue } from '../../src/tpm/queue.ts';
import { TPM_CAP } from '../../src/tpm/wire/constants.ts';

interface Page {
  readonly more: boolean;
  readonly kind: number;
  readonly entries: readonly (readonly number[])[];
}

const words = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
};

function answerOf({ more, kind, entries }: Page): Buffer {
  const body = Buffer.concat([Buffer.from([more ? 1 : 0]), words([kind, entries.length]), words(entries.flat())]);
  return Buffer.concat([Buffer.from('8001', 'hex'), words([10 + body.length, 0]), body]);
}

/** Answers from `page`, which gets the first entry asked for. */
function told(page: (first: number) => Page): { queue: CommandQueue; asked: number[] } {
  const asked: number[] = [];
  const transmit = async (command: Buffer): Promise<Buffer> => {
    const first = command.readUInt32BE(14);
    asked.push(first);
    return Promise.resolve(answerOf(page(first)));
  };
  return { queue: new CommandQueue({ raw: true, transmit, close: async () => Promise.resolve() }), asked };
}

test('a list in several answers is read to its end', async () => {
  const { queue, asked } = told((first) => ({
    more: first < 0x81000002,
    kind: TPM_CAP.HANDLES,
    entries: [[first]],
  }));
  expect(await readHandles(queue, 0x81000000)).toEqual([0x81000000, 0x81000001, 0x81000002]);
  expect(asked).toEqual([0x81000000, 0x81000001, 0x81000002]);
});

test('loaded sessions are those of both kinds, and the next page is asked for in the same range', async () => {
  const { queue, asked } = told((first) => ({
    more: first === 0x02000000,
    kind: TPM_CAP.HANDLES,
    entries: first === 0x02000000 ? [[0x02000000], [0x03000001]] : [[0x02000002]],
  }));
  expect(await readHandles(queue, 0x02000000)).toEqual([0x02000000, 0x03000001, 0x02000002]);
  expect(asked).toEqual([0x02000000, 0x02000002]);
});

test('a list goes no further than its own range or group', async () => {
  const handles = told(() => ({ more: true, kind: TPM_CAP.HANDLES, entries: [[0x81000005], [0x90000000]] }));
  expect(await readHandles(handles.queue, 0x81000000)).toEqual([0x81000005]);
  const properties = told(() => ({
    more: true,
    kind: TPM_CAP.TPM_PROPERTIES,
    entries: [
      [0x100, 1],
      [0x200, 2],
    ],
  }));
  expect(await readProperties(properties.queue, 0x100)).toEqual(new Map([[0x100, 1]]));
});

test('a list that never ends is refused', async () => {
  const endless = told(() => ({ more: true, kind: TPM_CAP.HANDLES, entries: [[0x81000000]] }));
  await expect(readHandles(endless.queue, 0x81000000)).rejects.toMatchObject({
    code: 'TPM_RESPONSE',
    message: expect.stringContaining('does not end') as unknown,
  });
  expect(endless.asked.length).toBeLessThan(100);
});

test('an answer about another capability is refused', async () => {
  const { queue } = told(() => ({ more: false, kind: TPM_CAP.PCRS, entries: [[1]] }));
  await expect(readHandles(queue, 0x81000000)).rejects.toMatchObject({ code: 'TPM_RESPONSE' });
});
