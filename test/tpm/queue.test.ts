// The queue: order, deadlines, resubmission, and answers it must not believe.
import { expect, test } from 'vitest';
import { CommandQueue, type QueueEvent, type QueueTiming } from '../../src/tpm/queue.ts';
import { TpmError, TpmResponseError } from '../../src/tpm/tpm-error.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';

const COMMAND = Buffer.from('80010000000c0000017b0020', 'hex');
const OK = Buffer.from('80010000000a00000000', 'hex');
const refusal = (rc: number): Buffer => {
  const response = Buffer.from('80010000000a00000000', 'hex');
  response.writeUInt32BE(rc, 6);
  return response;
};

/** Answers by turn; a function of the command, or a promise to be settled by the test. */
function scripted(...answers: (Buffer | Error | Promise<Buffer>)[]): TpmTransport & { readonly sent: Buffer[] } {
  const sent: Buffer[] = [];
  return {
    raw: true,
    sent,
    transmit: (command) => {
      sent.push(Buffer.from(command));
      const answer = answers.shift() ?? new Error('the script is at its end');
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    close: () => Promise.resolve(),
  };
}

const quick: QueueTiming = { deadlines: { short: 5, nv: 5, key: 5 }, grace: 5, backoff: [0, 0, 0] };

test.each([0x908, 0x90a, 0x920, 0x922])('a command answered 0x%s is sent again with the same bytes', async (rc) => {
  const transport = scripted(refusal(rc), refusal(rc), OK);
  const events: QueueEvent[] = [];
  await using queue = new CommandQueue(transport, { timing: quick, onEvent: (event) => events.push(event) });
  expect(await queue.submit(COMMAND, 'TPM2_GetRandom', 'short')).toEqual(OK);
  expect(transport.sent).toEqual([COMMAND, COMMAND, COMMAND]);
  expect(events.map((event) => event.kind)).toEqual(['retried', 'retried']);
});

test('resubmission is bounded, and its end is the refusal itself', async () => {
  const transport = scripted(...Array.from({ length: 9 }, () => refusal(0x922)));
  await using queue = new CommandQueue(transport, { timing: quick });
  await expect(queue.submit(COMMAND, 'TPM2_GetRandom', 'short')).rejects.toMatchObject({ rcName: 'TPM_RC_RETRY' });
  expect(transport.sent).toHaveLength(4);
});

test.each([0x921, 0x98e, 0x101, 0x902])('a command answered 0x%s is never sent again', async (rc) => {
  const transport = scripted(refusal(rc), OK);
  await using queue = new CommandQueue(transport, { timing: quick });
  await expect(queue.submit(COMMAND, 'TPM2_GetRandom', 'short')).rejects.toBeInstanceOf(TpmResponseError);
  expect(transport.sent).toHaveLength(1);
});

test('a second command waits for the answer to the first', async () => {
  const { promise: first, resolve: answer } = Promise.withResolvers<Buffer>();
  const transport = scripted(first, OK);
  await using queue = new CommandQueue(transport);
  const both = [queue.submit(COMMAND, 'one', 'short'), queue.submit(COMMAND, 'two', 'short')];
  await new Promise(setImmediate);
  expect(transport.sent).toHaveLength(1);
  answer(OK);
  await Promise.all(both);
  expect(transport.sent).toHaveLength(2);
});

test('a late answer is reported and taken', async () => {
  const events: QueueEvent[] = [];
  const { promise: late, resolve: answer } = Promise.withResolvers<Buffer>();
  const onEvent = (event: QueueEvent): void => {
    events.push(event);
    if (event.kind === 'late') answer(OK);
  };
  const timing = { ...quick, grace: 60_000 };
  await using queue = new CommandQueue(scripted(late), { timing, onEvent });
  expect(await queue.submit(COMMAND, 'TPM2_Quote', 'short')).toEqual(OK);
  expect(events.map((event) => event.kind)).toEqual(['late', 'answered']);
});

test('an answer that does not come at all is TPM_TIMEOUT, and nothing is sent after it', async () => {
  const transport = scripted(new Promise<Buffer>(() => {}), OK);
  const queue = new CommandQueue(transport, { timing: quick });
  const first = queue.submit(COMMAND, 'TPM2_Quote', 'short');
  const second = queue.submit(COMMAND, 'TPM2_GetRandom', 'short');
  await expect(first).rejects.toMatchObject({ code: 'TPM_TIMEOUT' });
  await expect(second).rejects.toMatchObject({ code: 'TPM_TIMEOUT' });
  expect(transport.sent).toHaveLength(1);
});

test('a connection that broke is not used again: the next bytes could be an old answer', async () => {
  const transport = scripted(new TpmError('TPM_UNAVAILABLE', 'gone'), OK);
  const queue = new CommandQueue(transport);
  await expect(queue.submit(COMMAND, 'one', 'short')).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  await expect(queue.submit(COMMAND, 'two', 'short')).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  expect(transport.sent).toHaveLength(1);
});

test.each([
  ['is too short', '80010000000900000000'.slice(0, 18)],
  ['says another size', '80010000000b00000000'],
  ['has the tag of another command', '80020000000a00000000'],
  ['has a tag that does not exist', '12340000000a00000101'],
])('an answer that %s is refused', async (_, hex) => {
  await using queue = new CommandQueue(scripted(Buffer.from(hex, 'hex')));
  await expect(queue.submit(COMMAND, 'TPM2_GetRandom', 'short')).rejects.toMatchObject({
    code: 'TPM_RESPONSE',
    message: expect.stringContaining('malformed') as unknown,
  });
});

test('a closed queue sends nothing', async () => {
  const transport = scripted(OK);
  const queue = new CommandQueue(transport);
  await queue[Symbol.asyncDispose]();
  await expect(queue.submit(COMMAND, 'one', 'short')).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
  expect(transport.sent).toHaveLength(0);
});
