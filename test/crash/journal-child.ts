// An agent that measures until it is told where to die: `node journal-child.ts SOCKET JOURNAL CALL FIRST`.
import { openJournal } from '../../src/store/open-journal.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { Cut, Knife, runOnce } from '../measure/device.ts';

const [socket = '', path = '', at = '', first = '1'] = process.argv.slice(2);
const tpm = await openDeviceTpm({ transport: await openSocketTransport({ path: socket }) });
const journal = await openJournal({ path });
const knife = new Knife(Number(at));
try {
  await runOnce({ tpm: knife.wrap(tpm), journal: knife.wrap(journal) }, Number(first), (n) => {
    process.stdout.write(`${n}\n`);
  });
} catch (error) {
  if (!(error instanceof Cut)) throw error;
  process.kill(process.pid, 'SIGKILL');
}
await journal[Symbol.asyncDispose]();
await tpm[Symbol.asyncDispose]();
